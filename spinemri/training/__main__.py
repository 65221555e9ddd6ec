"""Command line of the training: ``python -m spinemri.training --help``."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from spinemri.training.prepare import KINDS, prepare_phantoms, prepare_spider, prepare_unlabelled, stack_weights
from spinemri.training.stacks import load_stack
from spinemri.training.train import Plan, train


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m spinemri.training", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prepare = commands.add_parser("prepare", help="write training stacks: real scans with implants, and phantoms")
    _add_sources(prepare, what="stacks")
    prepare.add_argument("--with-mass", action="store_true", help="every phantom has a mass")
    prepare.add_argument(
        "--variety",
        choices=("usual", "harder", "surrounding"),
        default="usual",
        help="of the phantoms: curved spines, thin and surrounding masses; or every mass, or as much fat, all around "
        "the sac; use other numbers for each",
    )
    fit = commands.add_parser("train", help="train, or go on from the checkpoint")
    _add_plan(fit, steps=Plan.steps, batch=Plan.batch, decay=Plan.decay)
    fit.add_argument("--start", type=Path, help="an exported network to go on from, where there is no checkpoint")
    fit.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    out = commands.add_parser("export", help="write the averaged weights of a checkpoint as ONNX")
    out.add_argument("run", type=Path)
    out.add_argument("model", type=Path, help="the .onnx file to write")
    mean = commands.add_parser("average", help="write a network between two, the second trained from the first")
    mean.add_argument("one", type=Path)
    mean.add_argument("other", type=Path)
    mean.add_argument("model", type=Path, help="the .onnx file to write")
    mean.add_argument("--share", type=float, default=0.5, help="share of the second, 0 to 1")
    _add_canal(commands)
    _add_pair(commands)
    return parser


def _add_plan(fit: argparse.ArgumentParser, *, steps: int, batch: int, decay: float) -> None:
    """Add what both trainings ask for."""
    fit.add_argument("cache", type=Path)
    fit.add_argument("run", type=Path, help="folder for checkpoint and log")
    fit.add_argument("--steps", type=int, default=steps)
    fit.add_argument("--batch", type=int, default=batch)
    fit.add_argument("--rate", type=float, default=Plan.learning_rate, help="learning rate of the plateau")
    fit.add_argument("--decay", type=float, default=decay)
    fit.add_argument("--threads", type=int, default=2)
    fit.add_argument(
        "--workers", type=int, default=1, help="processes that prepare batches: many for a GPU, 0 on Windows"
    )


def _plan(arguments: argparse.Namespace) -> Plan:
    return Plan(
        steps=arguments.steps,
        batch=arguments.batch,
        learning_rate=arguments.rate,
        decay=arguments.decay,
        workers=arguments.workers,
    )


def _add_canal(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands of the second network, which sees all sequences of a study together."""
    prepare = commands.add_parser("prepare-canal", help="write studies for the second network, read by the first")
    _add_sources(prepare, what="studies")
    outlined = commands.add_parser("prepare-outlined-canal", help="outline these studies, to begin the third with")
    outlined.add_argument("studies", type=Path, help="folder of studies for the second network")
    outlined.add_argument("cache", type=Path, help="folder for the outlined studies")
    fit = commands.add_parser("train-canal", help="train the second network, or one of outlined studies, or go on")
    _add_plan(fit, steps=9000, batch=16, decay=0.5)
    fit.add_argument("--start", type=Path, help="a checkpoint to begin with, where the run has none")
    _add_export(commands, "export-canal", "the second network")


def _add_pair(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands of the third network, which sees both visits of a pair."""
    prepare = commands.add_parser("prepare-pair", help="write pairs of visits for the third network")
    _add_sources(prepare, what="pairs")
    fit = commands.add_parser("train-pair", help="train the third network, or go on from its checkpoint")
    _add_plan(fit, steps=11000, batch=8, decay=0.5)
    fit.add_argument("--start", type=Path, help="a checkpoint of outlined studies to begin with")
    _add_export(commands, "export-pair", "the third network")


def _add_sources(prepare: argparse.ArgumentParser, *, what: str) -> None:
    """Add where studies come from."""
    prepare.add_argument("cache", type=Path, help=f"folder for the {what}")
    prepare.add_argument("--data", type=Path, help="folder of real scans, holding spider_t2/")
    prepare.add_argument("--phantoms", type=int, default=0, help=f"how many generated {what} to add")
    prepare.add_argument("--first", type=int, default=0, help="number of the first of them")


def _add_export(commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, network: str) -> None:
    out = commands.add_parser(name, help=f"write the averaged weights of {network} as ONNX")
    out.add_argument("run", type=Path)
    out.add_argument("model", type=Path, help="the .onnx file to write")


def _canal(arguments: argparse.Namespace) -> None:
    """Run a command of the second network."""
    if arguments.command == "prepare-canal":
        from spinemri.training.canal_studies import prepare_canal_phantoms, prepare_canal_real  # noqa: PLC0415

        _prepare(arguments, prepare_canal_real, prepare_canal_phantoms)
    elif arguments.command == "prepare-outlined-canal":
        from spinemri.training.outlined_studies import prepare_outlined  # noqa: PLC0415

        arguments.cache.mkdir(parents=True, exist_ok=True)
        prepare_outlined(arguments.studies, arguments.cache)
    elif arguments.command == "train-canal":
        from spinemri.training.canal_studies import load_study  # noqa: PLC0415
        from spinemri.training.canal_train import train_canal  # noqa: PLC0415
        from spinemri.training.outlined_studies import outlined_weights  # noqa: PLC0415

        _train(arguments, load_study, outlined_weights, train_canal)
    else:
        from spinemri.training.export import export_canal  # noqa: PLC0415

        export_canal(arguments.run / "checkpoint.pt", arguments.model)


def _pair(arguments: argparse.Namespace) -> None:
    """Run a command of the third network."""
    if arguments.command == "prepare-pair":
        from spinemri.training.pair_visits import prepare_generated_pairs, prepare_real_pairs  # noqa: PLC0415

        _prepare(arguments, prepare_real_pairs, prepare_generated_pairs)
    elif arguments.command == "train-pair":
        from spinemri.training.pair_studies import load_pair, pair_weights  # noqa: PLC0415
        from spinemri.training.pair_train import train_pair  # noqa: PLC0415

        _train(arguments, load_pair, pair_weights, train_pair)
    else:
        from spinemri.training.export import export_pair  # noqa: PLC0415

        export_pair(arguments.run / "checkpoint.pt", arguments.model)


def _prepare(
    arguments: argparse.Namespace, real: Callable[[Path, Path], None], generated: Callable[[Path, range], None]
) -> None:
    """Write studies of real scans, if there are some, and generated ones."""
    arguments.cache.mkdir(parents=True, exist_ok=True)
    if arguments.data:
        real(arguments.data, arguments.cache)
    generated(arguments.cache, _numbers(arguments))


def _train(
    arguments: argparse.Namespace,
    load: Callable[[Path], Any],
    weights: Callable[[Sequence[str]], list[float]],
    train_on: Callable[..., Path],
) -> None:
    """Train on every study of a folder."""
    torch.set_num_threads(arguments.threads)
    files = sorted(arguments.cache.glob("*.npz"))
    studies, shares = [load(file) for file in files], weights([file.stem for file in files])
    train_on(studies, shares, _plan(arguments), arguments.run, start=arguments.start)


def _numbers(arguments: argparse.Namespace) -> range:
    return range(arguments.first, arguments.first + arguments.phantoms)


def main() -> None:
    """Run one training command."""
    arguments = _parser().parse_args()
    if arguments.command.endswith("-canal"):
        _canal(arguments)
    elif arguments.command.endswith("-pair"):
        _pair(arguments)
    elif arguments.command == "prepare":
        arguments.cache.mkdir(parents=True, exist_ok=True)
        if arguments.data:
            prepare_spider(arguments.data, arguments.cache, KINDS)
            prepare_unlabelled(arguments.data, arguments.cache)
        with_mass = True if arguments.with_mass else None
        prepare_phantoms(arguments.cache, _numbers(arguments), with_mass=with_mass, variety=arguments.variety)
    elif arguments.command == "train":
        _train(arguments, load_stack, stack_weights, partial(train, device=arguments.device))
    else:
        # onnx is needed for these two commands only.
        from spinemri.training.export import average_networks, export_onnx  # noqa: PLC0415

        if arguments.command == "export":
            export_onnx(arguments.run / "checkpoint.pt", arguments.model)
        else:
            average_networks(arguments.one, arguments.other, arguments.model, share=arguments.share)


if __name__ == "__main__":
    np.seterr(all="raise", under="ignore")
    main()
