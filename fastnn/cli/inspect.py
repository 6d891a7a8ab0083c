"""``fastnn inspect``: what is in a model file."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from fastnn import Network
from fastnn.cli import printing
from fastnn.cli.parsing import Commands
from fastnn.datasets import table_path
from fastnn.tabular import TabularModel


def add(commands: Commands) -> None:
    """Adds the command."""
    table = shlex.quote(str(table_path()))
    parser = commands.add_parser(
        "inspect",
        help="show what is in a model file",
        description="Prints what a model of fastnn train predicts, from which columns, and its "
        "networks; of\na file of Network.save, its layers.",
        epilog=f"example:\n  fastnn train {table} --target late\n  fastnn inspect model.fastnn",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", metavar="MODEL", type=Path, help="a model file")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=_run)


def load_any(path: Path) -> TabularModel | Network:
    """The model in a file, of either kind."""
    try:
        return TabularModel.load(path)
    except ValueError:
        return Network.load(path)


def _run(arguments: argparse.Namespace) -> None:
    model = load_any(arguments.model)
    if isinstance(model, Network):
        if arguments.json:
            printing.print_json({"kind": "Network", **_plain_network(model)})
        else:
            print(f"{arguments.model}: a Network of {model.dtype}, its loss is {model.loss}\n")
            print(model.summary())
        return
    if arguments.json:
        networks = [_plain_network(net) for net in model.networks]
        content = {"kind": "TabularModel", "seed": model.seed, **printing.plain_model(model)}
        printing.print_json({**content, "networks": networks})
        return
    target = model.target
    print(f"{arguments.model}: a model for tables, of {len(model.networks)} network(s)")
    print(f"it predicts {target.name!r}, by {target.task}")
    for name, share in list(zip(target.classes, target.shares, strict=True))[:20]:
        print(f"  {name}: {share:.1%} of the rows that it was trained on")
    print(f"\n{printing.columns_table(model.columns)}\n")
    print("scores on the rows that were held out in training")
    print(printing.scores_table(model.validation_scores, target.task))
    print(f"\n{model.network.summary()}")


def _plain_network(net: Network) -> dict[str, object]:
    return {
        "n_features": net.n_features,
        "n_outputs": net.n_outputs,
        "n_parameters": net.n_parameters,
        "layers": [repr(layer) for layer in net.layers],
        "loss": str(net.loss),
        "dtype": str(net.dtype),
        "seed": net.seed,
    }
