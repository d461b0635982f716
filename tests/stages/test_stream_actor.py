import numpy as np

from ray_subsel import StreamSelector
from ray_subsel.stages.stream_actor import start_merged_stream


def test_producers_in_several_processes_give_one_answer(ray_session):
    import ray

    X = np.random.default_rng(0).normal(size=(200, 4))
    actor = start_merged_stream(StreamSelector(5), 2)

    @ray.remote(num_cpus=0.5)
    def produce(producer):
        mine = np.arange(producer, 200, 2)
        for number, start in enumerate(range(0, 100, 20)):
            rows = mine[start : start + 20]
            ray.get(actor.offer.remote(producer, number, X[rows], rows))
        ray.get(actor.close.remote(producer, 5))

    ray.get([produce.remote(0), produce.remote(1)])
    alone = StreamSelector(5)
    for start in range(0, 100, 20):
        for producer in range(2):
            rows = np.arange(producer, 200, 2)[start : start + 20]
            alone.partial_fit(X[rows], ids=rows)
    assert ray.get(actor.state.remote()) == alone.to_bytes()
