"""Other simulators of spiking CNNs on the reference CNN's shape, in an environment of their own.

    python -m venv peers && peers/bin/pip install torch snntorch spikingjelly sinabs
    peers/bin/python benchmarks/peers.py    # [--quick]

Needs PyTorch and whichever of snnTorch, spikingjelly and sinabs is to be timed; kconvert is not
needed, and none of them is a dependency of it. Random weights and images, 200 images x 30 steps in
batches of 100, integrate-and-fire neurons (snnTorch: leaky), on the CPU. PyTorch's dense forward
pass x 30 is the common measure, as Keras' is in `make bench`. Prints medians of five rounds.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

BATCH = 100


def layers(torch: Any, neuron: Callable[[], Any]) -> list[Any]:
    """The reference CNN with any neuron."""
    nn = torch.nn
    return [
        nn.Conv2d(1, 32, 3),
        neuron(),
        nn.Conv2d(32, 64, 3),
        neuron(),
        nn.AvgPool2d(2),
        nn.Conv2d(64, 128, 3),
        neuron(),
        nn.AvgPool2d(2),
        nn.Flatten(),
        nn.Linear(3200, 10),
    ]


def dense(torch: Any, steps: int) -> Callable[[Any], Any]:
    net = torch.nn.Sequential(*layers(torch, torch.nn.ReLU))
    return lambda x: [net(x) for _ in range(steps)][-1]


def snntorch(torch: Any, steps: int) -> Callable[[Any], Any]:
    snn = importlib.import_module("snntorch")
    stack = layers(torch, lambda: snn.Leaky(beta=0.95))

    def run(x: Any) -> Any:
        membranes = {
            k: layer.init_leaky() for k, layer in enumerate(stack) if hasattr(layer, "beta")
        }
        total = 0
        for _ in range(steps):
            value = x
            for k, layer in enumerate(stack):
                if k in membranes:
                    value, membranes[k] = layer(value, membranes[k])
                else:
                    value = layer(value)
            total = total + value
        return total

    return run


def spikingjelly(torch: Any, steps: int) -> Callable[[Any], Any]:
    neuron = importlib.import_module("spikingjelly.activation_based.neuron")
    functional = importlib.import_module("spikingjelly.activation_based.functional")
    net = torch.nn.Sequential(*layers(torch, neuron.IFNode))

    def run(x: Any) -> Any:
        functional.reset_net(net)
        return sum(net(x) for _ in range(steps))

    return run


def sinabs(torch: Any, steps: int) -> Callable[[Any], Any]:
    module = importlib.import_module("sinabs.layers")
    net = torch.nn.Sequential(*layers(torch, lambda: module.IAFSqueeze(batch_size=BATCH)))

    def run(x: Any) -> Any:
        for layer in net:
            if hasattr(layer, "reset_states"):
                layer.reset_states()
        return net(x.repeat_interleave(steps, dim=0)).reshape(len(x), steps, -1).sum(1)

    return run


def main(images: int, steps: int, rounds: int) -> None:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        print(__doc__)
        return
    torch.manual_seed(0)
    x = torch.rand(images, 1, 28, 28)
    batches = x.split(min(BATCH, images))
    contestants: dict[str, Callable[[Any], Any]] = {}
    for make in (dense, snntorch, spikingjelly, sinabs):
        try:
            contestants[make.__name__] = make(torch, steps)
        except ImportError as error:
            print(f"{make.__name__}: left out, {error}")
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    with torch.no_grad():
        for _ in range(rounds + 1):
            for name, run in contestants.items():
                started = time.perf_counter()
                for batch in batches:
                    run(batch)
                taken[name].append(time.perf_counter() - started)
    threads = torch.get_num_threads()
    print(f"{images} images x {steps} steps, torch {torch.__version__}, {threads} threads")
    for name, seconds in taken.items():
        times = statistics.median(
            mine / forward for mine, forward in zip(seconds[1:], taken["dense"][1:], strict=True)
        )
        print(f"{name:14} {statistics.median(seconds[1:]):6.2f} s, {times:.2f} x the dense forward")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    main(*((100, 2, 1) if parser.parse_args().quick else (200, 30, 5)))
