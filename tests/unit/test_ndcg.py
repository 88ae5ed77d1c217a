"""nDCG against figures worked out by hand."""

import pytest

from bench.ndcg import ndcg


def test_ndcg() -> None:
    assert ndcg(["a", "b", "x"], {"a", "b"}) == 1
    assert ndcg(["x", "y"], {"a"}) == 0
    assert ndcg([], {"a"}) == 0
    assert ndcg(["x", "a"], {"a"}) == pytest.approx(0.63093, abs=1e-5)  # 1 / log2(3)
    assert ndcg(["a", "x", "b"], {"a", "b", "c"}) == pytest.approx(1.5 / 2.13093, abs=1e-5)
    assert ndcg(["x", "a"], {"a"}, depth=1) == 0
    assert ndcg(list("abcdefghij"), set("abcdefghijklmn")) == 1
    with pytest.raises(ValueError, match="no relevant"):
        ndcg(["a"], set())
