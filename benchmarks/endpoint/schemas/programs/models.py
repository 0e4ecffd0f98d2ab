"""Prints the JSON schema of every pydantic model in some packages: `python models.py PACKAGE …`.

Runs where the packages are installed, and imports neither `friendli` nor `friendli_endpoint`. Each
line is a JSON object that maps the name of a model to its schema.
"""

import importlib
import inspect
import json
import pkgutil
import sys

from pydantic import BaseModel


def main(packages: list[str]) -> None:
    """Prints the schemas, sorted by the names of the models."""
    for package in packages:
        folders = importlib.import_module(package).__path__
        for module in pkgutil.walk_packages(folders, f"{package}."):
            for name, model in inspect.getmembers(importlib.import_module(module.name)):
                if inspect.isclass(model) and issubclass(model, BaseModel):
                    if model.__module__ == module.name:
                        print(json.dumps({f"{module.name}.{name}": model.model_json_schema()}))


if __name__ == "__main__":
    main(sys.argv[1:])
