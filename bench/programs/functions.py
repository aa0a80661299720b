"""What the function path of a rewrite is measured with: the same change, made by Python."""

from typing import Any


def add_product(frame: Any) -> Any:
    return frame[["message_id"]].assign(product_id="ABCD")
