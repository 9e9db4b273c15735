"""Blueprints: pydantic specs, the registry of kinds, and building from specs."""

from dachi_fast.spec._registry import Registry as Registry
from dachi_fast.spec._registry import full_kind_of as full_kind_of
from dachi_fast.spec._registry import kind_of as kind_of
from dachi_fast.spec._registry import registry as registry
