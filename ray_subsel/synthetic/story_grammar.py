"""List the sentences of the demo stories: themes, what may happen in each, and how each course of events ends.

Written for this package. ``{name}``, ``{he}``, ``{him}``, ``{his}`` and capitalised forms stand for the hero,
``{friend}`` for someone at the hero's side, ``{when}`` for a time. A course is told by a sentence that never names its
ending, and every ending of a theme fits each of its openings, so that only the course tells the right ending.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Course:
    """One course of events: sentences that tell it, and endings that follow from it and from no other course."""

    told: tuple[str, ...]
    endings: tuple[str, ...]


@dataclass(frozen=True)
class Theme:
    """A theme: openings, second sentences, and at least two courses of events."""

    name: str
    openings: tuple[str, ...]
    seconds: tuple[str, ...]
    courses: tuple[Course, ...]


def _theme(
    name: str, openings: tuple[str, ...], seconds: tuple[str, ...], *courses: tuple[str, str, str, str]
) -> Theme:
    return Theme(name, openings, seconds, tuple(Course(course[:2], course[2:]) for course in courses))


# fmt: off
THEMES = (
    _theme(
        "baking",
        ("{when} {name} decided to bake a cake.", "{name} promised to bring dessert for the office.",
         "{name} found an old cake recipe in a drawer."),
        ("{He} mixed flour, eggs and butter in a big bowl.", "{He} measured every ingredient twice.",
         "{He} put the tin in the oven and waited."),
        ("The timer never rang, and black smoke filled the kitchen.", "{He} fell asleep and left it in far too long.",
         "{name} scraped the charcoal into the bin.", "{name} opened the windows to let the burnt smell out."),
        ("It rose high and turned a perfect gold.", "It came out light and soft, just like in the picture.",
         "The perfect cake was gone in minutes, and {name} got all the praise.",
         "{name} proudly took a photo of {his} masterpiece."),
        ("{He} had mistaken the salt for the sugar.", "Two whole spoons of salt went in by accident.",
         "The first bite made {name} reach for a glass of water.", "{name} spat it out and made a face."),
        ("The dog jumped on the table while nobody looked.", "{He} left the plate where the puppy could reach it.",
         "The dog had eaten it all and left {name} only paw prints.",
         "{name} scolded the pet, who wagged a guilty tail."),
    ),
    _theme(
        "camping",
        ("{name} went camping in the hills {when}.", "{name} packed a tent for a weekend in the woods.",
         "{name} had always dreamed of a night outdoors."),
        ("{He} set up camp beside a small lake.", "{He} gathered dry wood before dark.",
         "{He} cooked beans over a little fire."),
        ("At midnight a thunderstorm broke over the valley.", "Rain poured through the roof of the tent.",
         "{name} drove home shivering in soaked clothes.", "{name} hung the dripping sleeping bag over the fence."),
        ("A bear came sniffing around the food.", "Something huge growled right behind the tent.",
         "{name} locked the car doors until the animal went away.",
         "{name} now hangs all {his} supplies from a high tree."),
        ("The sky was clear and full of stars.", "Not a single cloud hid the Milky Way.",
         "{name} lay awake counting constellations.", "{name} made a wish on a falling meteor."),
        ("Mosquitoes rose from the water in swarms.", "Hundreds of insects found their way inside.",
         "{name} scratched itchy mosquito bites for days.", "{name} never again forgot the bug spray."),
    ),
    _theme(
        "job",
        ("{name} applied for a job at a bank.", "{name} was invited to an interview {when}.",
         "{name} had been looking for work for months."),
        ("{He} ironed {his} best shirt.", "{He} practiced answers in front of the mirror.",
         "{He} printed three copies of {his} resume."),
        ("The manager loved every one of {his} answers.", "They shook hands and offered {him} a contract.",
         "{name} got the job and celebrated the contract.",
         "{name} told everybody about the offer and started work the next week."),
        ("{He} stuttered and forgot what {he} wanted to say.", "The letter said that they had chosen someone else.",
         "{name} sadly went back to reading the want ads.", "{name} felt rejected and cried in the car."),
        ("The train broke down in a tunnel on the way.", "{He} reached the building two hours after the appointment.",
         "{name} apologized for arriving so late because of the train.",
         "{name} blamed the railway for the missed meeting."),
        ("The pay turned out to be far below what was advertised.",
         "They wanted {him} to work nights for almost nothing.", "{name} turned down the offer and walked out.",
         "{name} decided that {his} time was worth more money."),
    ),
    _theme(
        "pet",
        ("{name} wanted a pet more than anything.", "{name} visited the animal shelter {when}.",
         "{name} had saved up for an animal of {his} own."),
        ("{He} walked slowly past all the cages.", "{His} {friend} came along to help decide.",
         "{He} filled in the adoption papers."),
        ("{He} chose a shaggy brown puppy.", "A young terrier licked {his} hand through the bars.",
         "{name} throws a ball for the dog in the park each morning.", "{name} bought a leash and took it for a walk."),
        ("{He} picked a sleepy grey kitten.", "A tabby purred as soon as {he} came near.",
         "{name} finds it curled up on the windowsill next to a ball of yarn.",
         "{name} set up a litter box and a scratching post."),
        ("{He} fell for a green parrot.", "A bright parakeet whistled at {him}.",
         "{name} taught it to say hello from its perch.",
         "{name} covers its cage with a cloth so that it stops singing at night."),
        ("{He} came home with three goldfish in a bag.", "A tank of tropical fish caught {his} eye.",
         "{name} feeds the fish and changes the water of the aquarium.",
         "{name} watches the fish swim around a little castle."),
    ),
    _theme(
        "birthday",
        ("It was {name}'s birthday.", "{name} turned twenty {when}.", "{name} woke up excited on {his} birthday."),
        ("A large box stood on the kitchen table.", "{His} {friend} handed {him} a wrapped present.",
         "{He} tore off the colorful paper."),
        ("Inside was a guitar with shiny strings.", "It was the acoustic guitar from the shop window.",
         "{name} strummed chords until {his} fingers hurt.", "{name} wrote a first song that very night."),
        ("Inside was a telescope with a tripod.", "It was a telescope with a strong lens.",
         "{name} studied the craters of the moon after dark.", "{name} found the rings of Saturn from the garden."),
        ("Inside was a pair of running shoes.", "It was a pair of sneakers in just {his} size.",
         "{name} put on the shoes and jogged five miles.", "{name} signed up for a marathon."),
        ("Inside was a set of oil paints and brushes.", "It was an easel with a box of paints.",
         "{name} painted a landscape on canvas.",
         "{name} covered an apron in bright colors and hung a portrait in the hall."),
    ),
    _theme(
        "beach",
        ("{name} drove to the beach {when}.", "{name} spent a day at the seaside.",
         "{name} had waited all year for a trip to the ocean."),
        ("{He} spread a towel on the warm sand.", "{He} brought a cooler and an umbrella.",
         "{His} {friend} carried the folding chairs."),
        ("{He} dozed for hours without any lotion.", "The sun beat down on {his} bare shoulders all day.",
         "{name} came home with a red and painful sunburn.", "{name} never again lay in the sun without lotion."),
        ("A seagull swooped down on {his} lunch.", "Hungry gulls circled above {his} sandwich.",
         "{name} chased the thieving birds and went hungry.", "{name} bought another meal, this time indoors."),
        ("{His} car keys slipped into the deep sand.", "{He} felt in {his} pocket, and the car key was gone.",
         "{name} called a locksmith to the parking lot.", "{name} crawled about with a borrowed metal detector."),
        ("A perfect wave lifted {his} board.", "For the first time {he} stood up on the surfboard.",
         "{name} rode all the way to the shore with a cheer.", "{name} booked more surfing lessons."),
    ),
    _theme(
        "exam",
        ("{name} had a math exam {when}.", "{name} was nervous about the final test.",
         "{name} needed a good grade to pass the class."),
        ("{He} sat down in the last row.", "The teacher handed out the papers.", "{He} sharpened two pencils."),
        ("{He} had studied every evening for weeks.", "{He} knew the answer to every single question.",
         "{name} got the best mark in the class.", "{name} was proud that all the studying had paid off with an A."),
        ("{He} had played video games instead of studying.", "{He} did not understand a single question.",
         "{name} failed and must repeat the course.", "{name} hid the terrible grade from {his} parents."),
        ("{He} copied from the girl at the next desk.", "{He} had notes hidden in {his} sleeve.",
         "{name} was caught cheating and sent to the principal.", "{name} was ashamed of having copied the answers."),
        ("The fire alarm went off after five minutes.", "A siren howled, and they all had to leave the building.",
         "{name} waited outside until the firemen had turned off the alarm.",
         "{name} took it again once the school was declared safe."),
    ),
    _theme(
        "garden",
        ("{name} planted tomatoes in the yard {when}.", "{name} started a vegetable garden.",
         "{name} wanted to grow {his} own food."),
        ("{He} dug long rows and pulled the weeds.", "{He} put little sticks next to each seedling.",
         "{His} {friend} lent {him} a shovel."),
        ("Rabbits crept under the fence every night.", "Something with big teeth nibbled the leaves.",
         "{name} put up chicken wire to keep the bunnies out.", "{name} set a humane trap with a carrot in it."),
        ("No rain fell for six weeks.", "{He} forgot to water the beds all through the heat.",
         "{name} found only dry, withered plants that had died of thirst.",
         "{name} bought a sprinkler after the drought."),
        ("The plants grew taller than {he} was.", "The vines bent under heavy red fruit.",
         "{name} gave baskets of vegetables to the neighbors.",
         "{name} picked so much ripe fruit that it filled forty jars."),
        ("An early frost came in the night.", "The temperature fell below freezing before the harvest.",
         "{name} looked sadly at the icy, ruined leaves.", "{name} built a heated greenhouse for the next time."),
    ),
    _theme(
        "flight",
        ("{name} was flying to Spain {when}.", "{name} had booked a vacation overseas.",
         "{name} arrived at the airport before dawn."),
        ("{He} checked in a blue suitcase.", "{He} waited at the gate with a coffee.",
         "{He} took a seat by the window."),
        ("The suitcase never came out on the belt.", "{His} bag was sent to another continent.",
         "{name} had to buy new clothes because the suitcase was lost.", "{name} filled in a lost luggage form."),
        ("The plane shook and dropped in the turbulence.", "Terrible winds threw the aircraft around.",
         "{name} felt sick and prayed until the plane was safely on the ground.",
         "{name} swore to travel by boat from now on."),
        ("{He} noticed that the passport was still at home.", "The passport in {his} pocket had expired.",
         "{name} was turned back at the border control.", "{name} went to renew {his} documents instead of boarding."),
        ("The airline moved {him} to first class.", "A steward led {him} to a seat that became a bed.",
         "{name} stretched out in the first class bed and slept well.",
         "{name} thanked the steward for the luxury seat."),
    ),
    _theme(
        "bike",
        ("{name} rode {his} bike to town {when}.", "{name} loved cycling along the river.",
         "{name} took the bicycle out of the shed."),
        ("{He} pedaled up the long hill.", "{He} wore a bright yellow helmet.", "The road was narrow and winding."),
        ("A nail went straight through the front tire.", "There was a loud pop and the wheel went flat.",
         "{name} patched the hole in the tire and pumped it up.", "{name} pushed it home on the rim."),
        ("{He} left it unlocked outside a shop.", "Someone had cut the lock while {he} was inside.",
         "{name} reported the theft to the police.", "{name} had to go home on foot without it."),
        ("{He} skidded on gravel and fell hard.", "{He} flew over the handlebars.",
         "{name} was hurt in the fall and bandaged a bleeding knee.", "{name} wore a cast on {his} broken arm."),
        ("{He} overtook every other rider.", "{He} crossed the finish line of the race first.",
         "{name} held the gold medal up high.", "{name} had won the race and stood on the podium."),
    ),
    _theme(
        "restaurant",
        ("{name} ate at a new restaurant {when}.", "{name} took {his} {friend} out for dinner.",
         "{name} booked a table downtown."),
        ("The waiter brought two large menus.", "{He} ordered the dish of the day.", "Soft music played in the room."),
        ("There was a long hair in the soup.", "A cockroach crawled over the plate.",
         "{name} complained in disgust and lost {his} appetite.",
         "{name} called the health inspector about the filthy kitchen."),
        ("It was the best pasta {he} had ever tasted.", "Each bite melted on the tongue.",
         "{name} gave five stars and thanked the chef.", "{name} left a big tip for the delicious food."),
        ("{He} reached for {his} wallet and found nothing.", "The card was declined when the bill came.",
         "{name} washed dishes to pay for the meal.", "{name} borrowed the money from {his} {friend}."),
        ("The curry was full of hot chili.", "Nobody had warned {him} about the red peppers.",
         "{name} gulped milk because the food was much too spicy.", "{name} fanned {his} burning tongue."),
    ),
    _theme(
        "winter",
        ("Snow fell all night in {name}'s town.", "{name} woke to a white world {when}.",
         "It was the coldest week that {name} could remember."),
        ("{He} put on boots and a wool hat.", "School and work were closed.", "{He} looked out at the silent street."),
        ("{He} rolled three huge balls across the yard.", "{He} found a carrot and two lumps of coal.",
         "{name} tied a scarf around the finished snowman.", "{name} gave the frosty figure a broom to hold."),
        ("The pond had frozen solid.", "{He} laced up a pair of skates.", "{name} glided in circles over the ice.",
         "{name} tried a spin and landed on the slippery rink."),
        ("The heating broke down.", "The furnace gave a cough and died.",
         "{name} sat under four blankets until the repairman came.",
         "{name} shivered in the cold house and called a heating engineer."),
        ("{His} car was stuck in a drift.", "The wheels of the car spun without any grip.",
         "{name} dug out the tires with a shovel.", "{name} waited for a truck to pull the car out of the snow."),
    ),
    _theme(
        "music",
        ("{name} was to perform at a concert {when}.", "{name} played the piano in a small band.",
         "{name} had practiced the same song for months."),
        ("{He} walked out onto the stage.", "The hall was filled to the last seat.",
         "{His} {friend} waited behind the curtain."),
        ("{He} played without a single mistake.", "The melody moved many listeners to tears.",
         "{name} bowed to a standing ovation.", "{name} was asked to play an encore."),
        ("{His} mind went blank in the middle.", "{He} froze and could not remember the next note.",
         "{name} ran off the stage, ashamed of having forgotten the song.", "{name} sought help against stage fright."),
        ("All the lights in the hall went out.", "The power failed across the whole block.",
         "{name} carried on by candlelight.", "{name} played on in the dark until the power came back."),
        ("A talent scout sat in the front row.", "A producer listened and took notes.",
         "{name} signed a deal with a record producer.", "{name} was soon heard on the radio."),
    ),
    _theme(
        "doctor",
        ("{name} felt strange {when}.", "{name} went to see a doctor.", "{name} could not sleep because of the pain."),
        ("{He} sat in the waiting room for an hour.", "The nurse took {his} temperature.",
         "{His} {friend} had driven {him} there."),
        ("One of {his} teeth had a deep hole.", "The X-ray showed a rotten molar.",
         "{name} got a filling and eats less candy.", "{name} now flosses each night."),
        ("{He} could not read the letters on the wall.", "Everything more than a yard away was blurred.",
         "{name} picked out a pair of glasses.", "{name} put on the new glasses and could see clearly."),
        ("{He} had a fever and a bad cough.", "{His} throat was red and swollen.",
         "{name} stayed in bed with hot tea and honey.", "{name} took antibiotics for a week."),
        ("Each time {he} petted the cat {he} sneezed.", "Red spots appeared wherever the cat had touched {him}.",
         "{name} learned that {he} was allergic to fur.", "{name} had to find the animal another home."),
    ),
    _theme(
        "fishing",
        ("{name} went fishing with {his} {friend} {when}.", "{name} rowed a small boat out on the lake.",
         "{name} got up at four to catch fish."),
        ("{He} put a worm on the hook.", "The water was perfectly still.", "{He} cast the line and sat back."),
        ("After a long fight {he} pulled in a giant pike.", "The rod bent almost double under the weight.",
         "{name} grilled the giant fish for the whole family.", "{name} posed for a picture with the record catch."),
        ("Nothing touched the bait for nine hours.", "The bucket was still empty at sunset.",
         "{name} went home with an empty bucket, not having caught a thing.",
         "{name} called it the most boring day of the year."),
        ("Water came in through a crack in the boat.", "The bottom of the boat sprang a leak.",
         "{name} bailed frantically and swam to shore.", "{name} watched the little vessel sink."),
        ("{He} hooked an old boot.", "Up came a rusty tin can on the line.",
         "{name} laughed and threw the junk in the trash.",
         "{name} organized a day to clean the garbage from the lake."),
    ),
    _theme(
        "moving",
        ("{name} moved to a new apartment {when}.", "{name} carried boxes up the stairs all day.",
         "{name} had just rented a place of {his} own."),
        ("{He} unpacked the plates first.", "{His} {friend} helped with the sofa.", "{He} hung a clock in the hall."),
        ("The people upstairs played drums all night.", "Loud parties next door went on until dawn.",
         "{name} bought earplugs and knocked on the wall.", "{name} complained about the noise and could not sleep."),
        ("Water dripped from the bathroom ceiling.", "A pipe burst behind the sink.",
         "{name} put buckets everywhere and called a plumber.", "{name} mopped the flooded floor."),
        ("The woman next door brought a pie as a welcome.", "The whole floor came by to say hello.",
         "{name} made friends with the kind neighbors.", "{name} invited them all to a housewarming."),
        ("A family of mice lived behind the stove.", "Little droppings lay in every drawer.",
         "{name} set traps baited with cheese.", "{name} borrowed a cat for the week."),
    ),
    _theme(
        "money",
        ("{name} bought a lottery ticket {when}.", "{name} was always short of money.",
         "{name} counted the coins in {his} jar."),
        ("{He} sat down with a pen and the newspaper.", "{He} dreamed of a better life.",
         "{His} {friend} told {him} not to hope."),
        ("Every number on the ticket matched.", "The announcer read out exactly {his} numbers.",
         "{name} had won the lottery and quit work.", "{name} became a millionaire overnight."),
        ("Not one number was right.", "{He} lost, as in every week before.",
         "{name} threw away the losing ticket and sighed.", "{name} had lost again and vowed to stop gambling."),
        ("{He} found a fat wallet on the sidewalk.", "A purse with a stranger's address lay on the bus seat.",
         "{name} returned the wallet to its grateful owner.", "{name} was given a reward for {his} honesty."),
        ("{He} began to sell homemade soap online.", "{He} opened a small stall with handmade jewelry.",
         "{name} soon had so many customers that {he} hired staff.",
         "{name} sold more and more and opened a real shop."),
    ),
    _theme(
        "baby",
        ("{name} was asked to watch a baby {when}.", "{name} babysat for a neighbor.",
         "{name} had never looked after a child before."),
        ("The parents left for the theater.", "{He} read the long list of instructions.",
         "The little boy sat on the carpet."),
        ("The child screamed without a break.", "Nothing could stop the baby from crying.",
         "{name} rocked the crying baby until {his} head ached.", "{name} sang lullabies until {his} voice was gone."),
        ("The baby slept from the first minute.", "Not a sound came from the crib all evening.",
         "{name} watched a movie in peace while the baby slept.",
         "{name} never had to leave the sofa, since all stayed quiet."),
        ("The toddler found a box of crayons.", "The boy had a felt pen in each fist.",
         "{name} scrubbed scribbles off the wallpaper.", "{name} tried to wash the crayon drawings off the sofa."),
        ("The baby stood up and let go of the chair.", "The little one took two wobbly paces across the rug.",
         "{name} filmed the first steps for the parents.", "{name} clapped as the child walked into {his} arms."),
    ),
    _theme(
        "computer",
        ("{name} was writing a report {when}.", "{name} worked on a laptop in a cafe.",
         "{name} had to hand in a paper by noon."),
        ("{He} had typed forty pages.", "{He} was almost done.", "{His} {friend} had read the first draft."),
        ("{He} knocked a full cup over the keyboard.", "Hot coffee ran between the keys.",
         "{name} tried to dry the wet keyboard.", "{name} wiped up the spilled coffee, but the laptop was ruined."),
        ("The screen went blue and the file was gone.", "{He} had not saved anything when it crashed.",
         "{name} had to write it all again from memory.", "{name} has saved every file twice since the crash."),
        ("A strange mail asked for {his} password, and {he} typed it in.",
         "{He} clicked on a link from an unknown sender.", "{name} found {his} account emptied by hackers.",
         "{name} had to change every password and lock the account."),
        ("The professor read it and was impressed.", "The editor wrote back the same day with praise.",
         "{name} saw {his} work printed in a journal.", "{name} framed the published article."),
    ),
    _theme(
        "love",
        ("{name} met someone at a dance {when}.", "{name} had a crush on a colleague.",
         "{name} planned a special evening for {his} sweetheart."),
        ("{He} bought a bunch of roses.", "{He} had hardly slept the night before.",
         "They walked through the old town."),
        ("{He} knelt and held out a ring, and the answer was yes.", "Both of them said yes under the bridge.",
         "{name} sent out wedding invitations.", "{name} chose a band and flowers for the ceremony."),
        ("The answer was a cold no.", "There was already someone else.",
         "{name} was rejected and went home alone with a broken heart.", "{name} cried over the one who had said no."),
        ("The flowers made {his} date wheeze and swell up.", "A bee in the roses stung {his} date.",
         "{name} called an ambulance.", "{name} took {his} date to the hospital because of the allergy."),
        ("They talked until the sun came up.", "They found that they loved all the same books.",
         "{name} could hardly wait for the second date.",
         "{name} was glad to have talked the whole night with someone so alike."),
    ),
)

FILLERS = (
    "The whole thing took longer than planned.", "{His} {friend} watched with interest.",
    "{He} had told nobody about it.", "It was a {weather} {daytime}.", "{He} would remember this {daytime} for years.",
    "{He} checked the clock on the wall.", "A radio was playing somewhere.", "{He} had never done this before.",
    "{His} phone kept ringing in {his} pocket.", "{He} thought of what {his} {friend} had said.",
    "It was already the second try this month.", "{He} took a deep breath.", "The {daytime} had begun like any other.",
    "{He} had been looking forward to it since {weekday}.", "{He} wore {his} favorite {color} sweater.",
    "People were talking in the distance.",
)
WEATHER = (
    "windy", "quiet", "mild", "grey", "pleasant",
)
DAYTIMES = (
    "morning", "afternoon", "day", "evening",
)
WEEKDAYS = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)
COLORS = (
    "red", "blue", "green", "striped", "grey", "purple",
)
WHENS = (
    "last week", "on Monday", "in May", "one Sunday", "last year", "over the holidays", "the other day", "in autumn",
)
FRIENDS = (
    "brother", "sister", "cousin", "roommate", "uncle", "aunt", "best friend", "neighbor", "father", "mother",
)
WOMEN = (
    "Ada", "Bella", "Carla", "Dora", "Elena", "Fatima", "Greta", "Hana", "Ines", "Julia", "Keiko", "Lara", "Mona",
    "Nadia", "Olga", "Priya", "Rosa", "Sofia", "Tara", "Vera",
)
MEN = (
    "Adam", "Boris", "Carlos", "David", "Emil", "Felix", "George", "Hassan", "Ivan", "Jonas", "Kenji", "Leo", "Mario",
    "Nils", "Omar", "Pablo", "Ravi", "Simon", "Tim", "Victor",
)
# fmt: on
