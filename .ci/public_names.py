"""Import a module as installed, read every name that it promises, and say how many there are."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

module = importlib.import_module(sys.argv[1])
names = getattr(module, "__all__", ())
if not names:
    sys.exit(f"{module.__name__} promises no name. List the public names in its __all__.")
missing = [name for name in names if not hasattr(module, name)]
if missing:
    sys.exit(f"{module.__name__} lacks {missing}. Define them or take them out of its __all__.")
folder = Path(str(module.__file__)).parent
if "site-packages" not in folder.parts:
    sys.exit(f"{module.__name__} comes from {folder}. Run this where only the wheel is installed.")
if not (folder / "py.typed").exists():
    sys.exit(f"{module.__name__} has no py.typed in its wheel. Add the file beside __init__.py.")
sys.stdout.write(f"{module.__name__}: {len(names)} public names\n")
