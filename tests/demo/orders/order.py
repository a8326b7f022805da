"""What a customer sends."""

from pydantic import BaseModel, PositiveInt


class Order(BaseModel):
    id: str
    item: str
    cents: PositiveInt
