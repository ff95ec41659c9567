"""Work spread over threads: in order, a little ahead, and torch's own threads come back."""

import itertools
import threading
import time

import pytest
import torch

from tcmbench.metrics.engine.threads import one_thread, spread, workers


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 3])
def test_results_come_in_the_order_of_the_items(threads):
    def late(item):
        time.sleep(0.002 * (5 - item % 5))
        return item

    assert list(spread(late, range(20), threads)) == list(range(20))


def test_each_thread_works_alone_and_all_at_once():
    together = threading.Barrier(3, timeout=10)

    def meet(_):
        together.wait()
        return torch.get_num_threads()

    assert set(spread(meet, range(6), 3)) == {1}
    assert torch.get_num_threads() == 3


def test_an_endless_line_of_items_is_taken_a_few_at_a_time():
    taken = []
    results = spread(lambda item: item, (taken.append(n) or n for n in itertools.count()), 2)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(taken) <= 15
    results.close()
    assert torch.get_num_threads() == 3


def test_an_error_in_the_work_comes_out_and_the_threads_come_back():
    with pytest.raises(ZeroDivisionError):
        list(spread(lambda item: 1 / item, [2, 1, 0], 2))
    assert torch.get_num_threads() == 3


def test_workers_are_as_many_as_torch_has_within_reason():
    assert workers() == 3
    torch.set_num_threads(40)
    assert workers() == 16
    with one_thread(True):
        assert workers() == 1
    with one_thread(False):
        assert workers() == 16
