"""Packing: full batches, results that depend on the case alone, bounded memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import small
from metric_cases import CLASSES, Small, cases, with_values

from fluxpath.errors import InputError
from fluxpath.runtime import MFABA, Attribution, Explainer, NeFLAG, Saliency, SmoothGrad, Subject
from fluxpath.runtime.metrics import (
    METRICS,
    Case,
    Deletion,
    Infidelity,
    Insertion,
    InsertionMinusDeletion,
    MaxSensitivity,
    Measured,
    Metric,
    SensitivityN,
    SoftmaxInformationCurve,
    layout,
    measure,
    metric_named,
)

SEVERAL = [
    Insertion("mean", 6),
    Deletion("uniform", 5),
    InsertionMinusDeletion(steps=4),
    SensitivityN(samples=4),
    Infidelity(samples=5),
    MaxSensitivity(samples=3),
]


def values(model, several, metrics, **options) -> list[list[float]]:
    return [
        [found[metric].value for metric in metrics] for found in measure(model, several, metrics, **options)
    ]


@pytest.mark.parametrize("batch", [1, 2, 7, 32, 500])
def test_results_do_not_depend_on_the_batch(batch):
    """Bit for bit: the model computes each row by itself, so a difference would be the packing's doing."""
    several = cases(Small(), 7)
    assert values(Small(), several, SEVERAL, batch=batch) == values(Small(), several, SEVERAL)


def test_results_do_not_depend_on_order_or_company():
    several = cases(Small(), 6)
    together = values(Small(), several, SEVERAL)
    assert values(Small(), several[::-1], SEVERAL)[::-1] == together
    assert [values(Small(), [case], SEVERAL)[0] for case in several] == together
    for k, metric in enumerate(SEVERAL):
        assert [row[0] for row in values(Small(), several, [metric])] == [row[k] for row in together]
    assert [row[::-1] for row in values(Small(), several, SEVERAL[::-1])] == together


def test_batches_are_filled_across_images_and_metrics():
    model = Small()
    run = measure(model, cases(model, 5), [Deletion(steps=6), Insertion("mean", 4)], batch=16)
    assert len(list(run)) == 5
    assert model.batches == [16, 16, 16, 7]  # 5 x (7 + 5), less the image that both games have
    assert run.evaluations == sum(model.batches) == 55 and run.explanations == 0
    assert 0 < run.seconds < 60


@pytest.mark.parametrize("batch", [1, 7, 16])
def test_cases_of_one_image_share_what_is_the_images(batch):
    model, metrics = Small(), [Deletion(steps=6), Insertion("mean", 4), SoftmaxInformationCurve()]
    (case,), (stranger,) = cases(model, 1), cases(model, 1, seed=1)
    turned = with_values(case, -case.values)
    alone = [
        {metric: found[metric].value for metric in metrics}
        for each in (case, turned, stranger)
        for found in measure(model, [Case(each.image, each.attribution, each.seed)], metrics, batch=batch)
    ]
    made: dict[object, object] = {}
    both = [Case(case.image, each.attribution, case.seed, made=made) for each in (case, turned)]
    run = measure(model, [*both, stranger], metrics, batch=batch)
    assert [{metric: found[metric].value for metric in metrics} for found in run] == alone
    between = 5 + 3 + 12  # of the games and the curve; half a hundredth of 80 pixels is none
    assert run.evaluations == 3 * between + 2 * (1 + 3)


def test_orders_are_let_go_when_a_case_is_measured():
    model = Small()
    several = cases(model, 3)
    list(measure(model, several, [Deletion(steps=3)]))
    assert not any(case in layout._ORDERS for case in several)


def test_explanations_are_batched_by_method():
    model = Small()
    several = cases(model, 6)
    for k, case in enumerate(several):
        subject = Subject(case.image[None], Saliency() if k % 2 else SmoothGrad(n=2), model.manifest)
        object.__setattr__(case.attribution, "subject", subject)
    run = measure(model, several, [MaxSensitivity(samples=4)], batch=8)
    assert len(list(run)) == 6
    assert sorted(model.explained) == [4, 4, 8, 8]
    assert run.explanations == 24 and run.evaluations == 0


def test_a_part_is_measured_once():
    counted = []

    @dataclass(frozen=True)
    class Part(Metric):
        better = "higher"

        def probes(self, case):
            counted.append(case)
            yield case.image

        def measure(self, case, found):
            return Measured(float(found.logits[0, 0]))

    @dataclass(frozen=True)
    class Whole(Metric):
        number: int = 0
        better = "higher"

        @property
        def parts(self):
            return (Part(),)

        def measure(self, case, found):
            return Measured(found.parts[0].value)

    model = Small()
    (found,) = measure(model, cases(model, 1), [Whole(), Part(), Whole(1), Whole()])
    assert len(counted) == 1 and model.batches == [1]
    assert set(found) == {Whole(), Part(), Whole(1)} and len({f.value for f in found.values()}) == 1


class Watched(Metric):
    """Many large probes, each an array of its own, of which it is known how many are alive."""

    better = "higher"
    alive = 0
    most = 0

    def probes(self, case: Case) -> Iterator[np.ndarray]:
        for _ in range(200):
            probe = case.image.copy()
            Watched.alive += 1
            Watched.most = max(Watched.most, Watched.alive)
            weakref.finalize(probe, self._gone)
            yield probe
            del probe

    @staticmethod
    def _gone() -> None:
        Watched.alive -= 1

    def measure(self, case: Case, found) -> Measured:
        return Measured(float(len(found.logits)))


def test_probes_are_made_as_they_are_needed():
    Watched.alive = Watched.most = 0
    metric = Watched()
    found = [one[metric].value for one in measure(Small(), cases(Small(), 4), [metric], batch=8)]
    assert found == [200.0] * 4 and Watched.most <= 2


def test_cases_are_read_as_they_are_needed_and_let_go():
    model = Small()
    read, alive = [], set()

    def stream() -> Iterator[Case]:
        for k in range(300):
            (case,) = cases(model, 1, seed=k)
            alive.add(k)
            weakref.finalize(case, alive.discard, k)
            read.append(len(alive))
            yield case
            del case

    run = measure(model, stream(), [Deletion(steps=3)], batch=8)
    for k, _ in enumerate(run):
        assert len(read) <= k + 9
    gc.collect()
    assert max(read) <= 10 and len(read) == 300


def test_a_rare_method_does_not_hold_everything_up():
    model = Small()
    several = cases(model, 60)
    first = several[0].attribution
    object.__setattr__(first, "subject", Subject(several[0].image[None], SmoothGrad(n=2), model.manifest))
    read = []
    run = measure(model, (read.append(c) or c for c in several), [MaxSensitivity(samples=2)], batch=8)
    next(run)
    assert len(read) <= 8
    assert len(list(run)) == 59


def test_what_is_wrong_is_said():
    model = Small()
    (case,) = cases(model, 1)
    with pytest.raises(InputError, match="is no metric: pass instances such as Insertion"):
        measure(model, [case], [Insertion])
    with pytest.raises(InputError, match="batch is 0"):
        measure(model, [case], [Insertion()], batch=0)
    wrong = Case(case.image[:2], case.attribution)
    with pytest.raises(InputError, match="a case has one float32 image and its attribution, of one shape"):
        next(measure(model, [wrong], [Insertion()]))
    bare = Attribution(*(getattr(case.attribution, n) for n in list(vars(case.attribution))[:-1]))
    with pytest.raises(InputError, match="made without its subject: take one that an Explainer made"):
        next(measure(model, [Case(case.image, bare)], [MaxSensitivity()]))

    @dataclass
    class Loose(Metric):
        better = "higher"

        def measure(self, case, found):
            raise NotImplementedError

    with pytest.raises(InputError, match="must be hashable: make it a frozen dataclass"):
        measure(model, [case], [Loose()])


def test_features_have_every_metric_that_makes_sense():
    model = Small((6,))
    mask = np.array([True, False] * 3)
    several = cases(model, 2, mask=mask)
    for name, made in METRICS.items():
        settings = {"substrate": "mean"} if "substrate" in vars(made()) else {}
        run = measure(model, several, [metric := metric_named(name, **settings)])
        if name in ("aic", "sic"):
            with pytest.raises(InputError, match=r"an information curve needs pictures, inputs \[h, w\] or"):
                list(run)
        else:
            assert all(np.isfinite(found[metric].value) for found in run), name


def test_a_regressor_has_no_probability():
    model = Small(classes=1, objective="logit")
    model.second = model.second[:1]
    metrics = [Deletion(steps=3), SensitivityN()]
    for found in measure(model, cases(model, 2), metrics):
        assert np.isnan(found[metrics[0]].value) and np.isfinite(found[metrics[1]].value)


def test_no_cases_are_no_results():
    assert list(measure(Small(), [], [Insertion()])) == []


@pytest.mark.parametrize("method", [MFABA(), NeFLAG(n=2), Saliency(absolute=False)])
def test_with_a_real_explainer(tmp_path, method):
    """Every metric, alone and in company; ONNX Runtime's kernels may round another batch differently."""
    path = small.export(small.cnn(dims="batch,3,12,12"), tmp_path).path
    images = small.images(3, 3, 12, 12)
    mask = np.zeros((12, 12), bool)
    mask[3:7, 3:8] = True
    metrics = [metric_named(name) for name in METRICS]
    with Explainer(path, threads=1) as explainer:
        made = explainer.attribute(images, method=method)
        several = [Case(images[i], made[i], i, mask) for i in range(3)]
        run = measure(explainer, several, metrics)
        together = [[found[metric] for metric in metrics] for found in run]
        assert run.evaluations > 1000 and run.explanations == 30
        for case, row in zip(several, together, strict=True):
            for metric, found in zip(metrics, row, strict=True):
                (alone,) = measure(explainer, [case], [metric], batch=5)
                assert np.allclose(found.value, alone[metric].value, rtol=1e-3, atol=1e-5, equal_nan=True)


def test_probabilities_are_float64_of_the_logits():
    model = Small(objective="sigmoid")

    class Asks(Metric):
        better = "higher"

        def probes(self, case):
            yield case.image

        def measure(self, case, found):
            assert found.probabilities.dtype == np.float64 and found.probabilities.shape == (1, CLASSES)
            assert np.allclose(
                found.probabilities, 1 / (1 + np.exp(-found.logits.astype(np.float64))), atol=1e-15
            )
            return Measured(0.0)

    assert len(list(measure(model, cases(model, 1), [Asks()]))) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda case: (case.image, case.attribution), r"a case is of <class 'tuple'>, it must be .*Case"),
        (
            lambda case: replace(case, attribution=case.values),
            "attribution is of <class 'numpy.ndarray'>, it must be an Attribution",
        ),
        (lambda case: replace(case, seed="a"), "seed is 'a', it must be"),
        (lambda case: replace(case, seed=0.5), r"seed is 0\.5, it must be"),
        (
            lambda case: replace(case, image=case.image.tolist()),
            "image is of <class 'list'>, it must be a float32 array",
        ),
        (lambda case: replace(case, image=case.image.astype(float)), "a case has one float32 image and"),
    ],
)
def test_what_is_no_case_is_named(wrong, said):
    model = Small()
    with pytest.raises(InputError, match=said):
        next(measure(model, [wrong(case) for case in cases(model, 1)], [Insertion()]))
