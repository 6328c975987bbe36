"""The commands `python`, `pip`, `uv` and `conda` of a strict machine: wrappers of its one environment.

They refuse what the platform's wrappers refuse, in the platform's words; the programs behind them do not.
"""

from lightning_native.emulator.host import aliases

_ONE = "A Studio has a default conda environment\n(max 1 environment). Start a new Studio to create a new environment."
_ACTIVATE = """#!/bin/sh
refuse() {{
  printf 'Error: %s creation is not allowed. %s\\n' "$1" '{one}' >&2
  exit 1
}}
export CONDA_PREFIX={prefix} CONDA_DEFAULT_ENV=cloudspace PATH="{prefix}/bin:$PATH"
"""
_PYTHON = """for word; do
  case $before$word in
    -mvenv|-mvirtualenv) refuse Venv ;;
    -m) before=-m ;;
    -*) before= ;;
    *) break ;;
  esac
done
exec {prefix}/bin/python "$@"
"""
# `uv` creates the environments of projects below a folder of the platform that is missing.
_UV = """case $1 in
  run|sync|venv|add|remove)
    root=$UV_LIGHTNING_VIRTUALENV_ROOT
    if [ -n "$root" ] && [ ! -d "$root" ]; then
      echo "error: failed to symlink file from $UV_CACHE_DIR to $root: No such file or directory" >&2
      exit 2
    fi ;;
esac
if [ ! -x {prefix}/bin/uv ]; then echo "uv: command not found" >&2; exit 127; fi
exec {prefix}/bin/uv "$@"
"""
_CONDA = """case $1 in
  create) printf 'Error: Conda create is not allowed. %s\\n' '{one}' >&2; exit 1 ;;
  env|info)
    case "$1 $2" in
      "env create") printf 'Error: Conda create is not allowed. %s\\n' '{one}' >&2; exit 1 ;;
      "env list"|"info --envs"|"info -e")
        printf '# conda environments:\\n#\\ncloudspace            *  {prefix}\\n'; exit 0 ;;
    esac ;;
  activate|deactivate|init) exit 0 ;;
esac
echo "conda $*: the local cloud has no conda; install with pip or uv" >&2
exit 1
"""
_PROGRAM = 'exec {prefix}/bin/{name} "$@"\n'
# The platform also has the name of an earlier version, which runs the Python of the environment.
_EARLIER = "python3.10"


def texts(prefix: str, version: str, setting_up: str) -> dict[str, str]:
    """Return the wrappers of an environment by name; those of Python refuse to work while there is a file."""
    bodies = dict.fromkeys(("python", "python3", _EARLIER, f"python{version}"), _PYTHON)
    bodies |= {name: _PROGRAM.replace("{name}", "pip") for name in ("pip", "pip3")}
    bodies |= {"uv": _UV}
    bodies = {name: f"{aliases.refusal(setting_up)}\n{body}" for name, body in bodies.items()}
    bodies |= {"conda": _CONDA, "mamba": _CONDA, "virtualenv": "refuse Venv\n"}
    return {name: (_ACTIVATE + body).format(prefix=prefix, one=_ONE) for name, body in bodies.items()}
