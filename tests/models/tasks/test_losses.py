"""Losses on labels: what they are against their definitions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs lprc[torch]")

from lprc.models.tasks.losses import cross_entropy, pixel_loss  # noqa: E402


@pytest.mark.parametrize("focal", [0.0, 0.5, 2.0])
def test_focal_loss_is_as_defined(focal):
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    labels = torch.tensor([0, 2, 1, -100, 2])
    loss = cross_entropy(logits, labels, focal=focal)
    probability = logits.softmax(dim=1)[torch.arange(5), labels.clamp_min(0)][labels >= 0]
    expected = ((1 - probability) ** focal * -probability.log()).mean()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_focal_loss_of_certain_answers_has_a_gradient():
    logits = torch.tensor([[40.0, -40.0]], requires_grad=True)
    cross_entropy(logits, torch.tensor([0]), focal=0.5).backward()
    assert torch.isfinite(logits.grad).all()


def test_pixels_that_are_ignored_count_for_nothing():
    logits = torch.randn(1, 2, 2, 2, generator=torch.Generator().manual_seed(2))
    mask = torch.tensor([[0, 1], [7, 7]], dtype=torch.uint8).numpy()
    changed = logits.clone()
    changed[:, :, 1] += torch.tensor([[[3.0]], [[-3.0]]])[None, :, 0]
    for focal in (0.0, 2.0):
        options = {"ignore": 7, "dice": 1.0, "focal": focal}
        assert pixel_loss(logits, [mask], **options) == pixel_loss(changed, [mask], **options)
