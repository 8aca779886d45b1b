"""Frozen dataclasses as JAX pytrees whose validation runs when a person constructs them, not when
JAX does.
"""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T", bound=type)


def static_field(**kwargs: Any) -> Any:
    """A dataclass field that is part of the tree structure (strings, flags, functions), not of the
    data.
    """
    return dataclasses.field(metadata={"static": True}, **kwargs)


@dataclass_transform(frozen_default=True, field_specifiers=(static_field, dataclasses.field))
def frozen_pytree(cls: T) -> T:
    """Makes `cls` a frozen dataclass and a pytree: fields are data unless declared with
    `static_field`.

    `jax.tree_util.register_dataclass` runs `__post_init__` on every unflattening, where leaves may
    be tracers, batched arrays or placeholders and a shape check would be wrong. Here unflattening
    bypasses the constructor.
    """
    cls = dataclasses.dataclass(frozen=True, eq=False)(cls)
    names = [f.name for f in dataclasses.fields(cls)]
    static = [f.name for f in dataclasses.fields(cls) if f.metadata.get("static", False)]
    data = [name for name in names if name not in static]

    def flatten_with_keys(obj):
        children = [(jax.tree_util.GetAttrKey(name), getattr(obj, name)) for name in data]
        return children, tuple(getattr(obj, name) for name in static)

    def unflatten(aux, children):
        obj = object.__new__(cls)
        for name, value in zip([*data, *static], [*children, *aux], strict=True):
            object.__setattr__(obj, name, value)
        return obj

    jax.tree_util.register_pytree_with_keys(cls, flatten_with_keys, unflatten)
    return cls
