"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DATA_SETS = "mnist5k, mnist, fashion_mnist, cifar10 or cifar100"

Source = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL",
        help="A Keras model (.keras, .h5) or a converted network (.kconvert).",
        show_default=False,
    ),
]
Model = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="A Keras model: .keras or .h5.", show_default=False),
]
Network = Annotated[
    Path,
    typer.Argument(metavar="NETWORK", help="A converted network: .kconvert.", show_default=False),
]
Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="Samples: a .npy or .npz file, an image, a folder of images, or a data set: "
        f"{DATA_SETS}, with :train or :test behind it.",
        show_default=False,
    ),
]
Steps = Annotated[
    int | None,
    typer.Option(
        "--steps",
        min=1,
        metavar="N",
        help="Simulation steps of 1 ms. (default: what the network was tuned for, or 30)",
        show_default=False,
    ),
]
Labels = Annotated[
    Path | None,
    typer.Option("--labels", metavar="FILE", help="A .npy file with the labels."),
]
Number = Annotated[
    int | None,
    typer.Option(
        "--n",
        min=1,
        metavar="N",
        help=(
            "Use at most this many samples: the first of a data set; of files, evenly spread ones."
        ),
        show_default=False,
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        "--scale",
        metavar="FACTOR",
        help="Factor on the values of the samples, such as 1 or 1/255. (default: 1/255 for images "
        "and data sets, 1 for .npy and .npz files)",
        show_default=False,
    ),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        "--preprocess",
        metavar="MODE",
        help="Instead of --scale, what keras.applications does to images of 3 colours: tf (to -1 "
        "to 1), torch or caffe (with ImageNet's mean).",
        show_default=False,
    ),
]
Fit = Annotated[
    str,
    typer.Option(
        "--fit",
        metavar="HOW",
        help=(
            "How to bring images to the size of the input: stretch, crop (the middle) or pad (with "
            "black)."
        ),
    ),
]
Calibration = Annotated[
    str | None,
    typer.Option(
        "--calibration",
        metavar="DATA",
        help="Samples that set the firing rates: DATA of any kind, without labels, of which 100 "
        "are used; of a data set always from its training part. false leaves rates as they are.",
        show_default=False,
    ),
]
KerasModel = Annotated[
    Path | None,
    typer.Option(
        "--model",
        metavar="MODEL",
        help="With a .kconvert file: the Keras model that it was made from, to compare with it.",
        show_default=False,
    ),
]
ClassNames = Annotated[
    Path | None,
    typer.Option(
        "--class-names",
        metavar="FILE",
        help="A text file with the name of a class in each line, in the network's order.",
        show_default=False,
    ),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        metavar="NAME",
        help="With several outputs: the name in Keras of the output that the labels are for.",
        show_default=False,
    ),
]
Distribute = Annotated[
    str | None,
    typer.Option(
        "--distribute",
        metavar="ADDRESS",
        help="Run on a Ray cluster: ray for one on this machine, auto for the one that runs here, "
        "HOST:PORT, or ray://HOST:PORT.",
        show_default=False,
    ),
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FOLDER",
        help="Keep what is done in this folder. If the command is ended, the same command goes on "
        "from there.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, and nothing else.")]
Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
