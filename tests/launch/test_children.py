"""Processes that a rank starts are no ranks, and disturb none."""

PROGRAM = """
import multiprocessing, os, signal, subprocess, sys
import numpy as np
import distkeras as keras
from distkeras import distribution

def work(n):
    places = ("PMI_", "PMIX_RANK", "PMIX_NAMESPACE", "OMPI_COMM", "HYDI")
    place = [k for k in os.environ if k.startswith(places)]
    return train(n), distribution.size(), place

def train(n):
    keras.utils.set_random_seed(n)
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model.fit(np.ones((8, 2)), np.ones((8, 1)), 4, verbose=0).history["loss"][0]

class Batches(keras.utils.PyDataset):
    def __init__(self):
        super().__init__(workers=2)

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return np.full((4, 2), index, "float32"), np.ones((4, 1))

if __name__ == "__main__":
    if "child" in sys.argv:
        print(work(3))
        sys.exit()
    ended = []
    signal.signal(signal.SIGCHLD, lambda *_: ended.append(1))
    alone = subprocess.run([sys.executable, __file__, "child"], capture_output=True, text=True)
    expected = eval(alone.stdout)
    assert expected[1:] == (1, []), expected
    assert ended
    inner = [sys.executable, "-m", "distkeras.launch", "-n", "2", __file__, "child"]
    both = subprocess.run(inner, capture_output=True, text=True)
    assert both.returncode == 0, both.stderr
    assert eval(both.stdout)[1] == 2
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    for method in ("spawn", "fork"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            answers = pool.map_async(work, [3, 3])
            model.fit(Batches(), epochs=2, verbose=0)  # meanwhile the ranks train
            assert answers.get(60) == [expected] * 2, (method, answers.get())
    from mpi4py import MPI
    world = MPI.COMM_WORLD
    other = (world.rank + 1) % 2

    class Messages(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.request = world.irecv(source=other, tag=0)
            world.isend(batch, dest=other, tag=0).wait()

        def on_train_batch_end(self, batch, logs=None):
            assert self.request.wait() == batch
            assert world.allreduce(1) == 2

    model.fit(Batches(), epochs=2, verbose=0, callbacks=[Messages()])
    assert distribution.all_reduce(1) == 2
    print("good", distribution.rank(), flush=True)
"""


def test_children_pools_workers_and_messages_of_a_program(run_program, needs_mpi, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    words = ["-m", "distkeras.launch", "--output", "all", "program.py"]
    end = run_program(words, n=2, timeout=60)
    assert end.returncode == 0, end.describe()
    assert sorted(end.stdout.splitlines()) == ["[0] good 0", "[1] good 1"], end.describe()
    assert end.complaints == "", end.describe()
    assert end.orphans == (), end.describe()
