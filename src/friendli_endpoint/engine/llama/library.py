"""ctypes bindings for llama.cpp: functions, structs, and a check that they match the library.

The declarations follow llama.h of llama.cpp build 11549 (library version 0.6.0-dev). Struct layouts
change between builds without notice, and a wrong layout corrupts memory. So `load` reads the
library's default parameter structs and rejects a library in which a value is not at its place.
This module contains bindings only: no models and no policy.
"""

import ctypes
import importlib.util
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, Structure, c_bool, c_char_p, c_float, c_int32, c_size_t, c_void_p
from ctypes import c_uint32 as u32
from ctypes import c_uint64 as u64
from pathlib import Path

from friendli._install import install_extra
from friendli_endpoint.generation import StartError

__all__ = [
    "FLASH_ATTENTION_OFF",
    "FLASH_ATTENTION_ON",
    "Batch",
    "ContextParams",
    "LibraryError",
    "ModelParams",
    "find_library",
    "load",
    "warnings_as_debug",
]

log = logging.getLogger("friendli_endpoint.llama")

KNOWN_VERSIONS = frozenset({"0.6.0-dev"})
"""Values of `llama_version()` whose structs are the ones declared here."""

LOAD_MODE_AUTO, LAZY_MODE_AUTO, SPLIT_MODE_LAYER = -1, 1, 1
FLASH_ATTENTION_AUTO, FLASH_ATTENTION_OFF, FLASH_ATTENTION_ON = -1, 0, 1
TYPE_F16 = 1
UNSPECIFIED = -1


class LibraryError(StartError):
    """The C library is missing or unsupported; the message says what to do."""


class ModelParams(Structure):
    """`struct llama_model_params`."""

    _fields_ = (
        ("devices", c_void_p),
        ("tensor_buft_overrides", c_void_p),
        ("n_gpu_layers", c_int32),
        ("split_mode", c_int32),
        ("load_mode", c_int32),
        ("lazy_mode", c_int32),
        ("main_gpu", c_int32),
        ("tensor_split", c_void_p),
        ("progress_callback", c_void_p),
        ("progress_callback_user_data", c_void_p),
        ("kv_overrides", c_void_p),
        ("vocab_only", c_bool),
        ("check_tensors", c_bool),
        ("use_extra_bufts", c_bool),
        ("no_host", c_bool),
        ("no_alloc", c_bool),
        ("load_mtp", c_bool),
    )


class ContextParams(Structure):
    """`struct llama_context_params`."""

    _fields_ = (
        ("n_ctx", u32),
        ("n_batch", u32),
        ("n_ubatch", u32),
        ("n_seq_max", u32),
        ("n_rs_seq", u32),
        ("n_outputs_max", u32),
        ("n_outputs_max_per_seq", u32),
        ("n_threads", c_int32),
        ("n_threads_batch", c_int32),
        ("ctx_type", c_int32),
        ("rope_scaling_type", c_int32),
        ("pooling_type", c_int32),
        ("attention_type", c_int32),
        ("flash_attn_type", c_int32),
        ("rope_freq_base", c_float),
        ("rope_freq_scale", c_float),
        ("yarn_ext_factor", c_float),
        ("yarn_attn_factor", c_float),
        ("yarn_beta_fast", c_float),
        ("yarn_beta_slow", c_float),
        ("yarn_orig_ctx", u32),
        ("defrag_thold", c_float),
        ("cb_eval", c_void_p),
        ("cb_eval_user_data", c_void_p),
        ("type_k", c_int32),
        ("type_v", c_int32),
        # Three pointers, null by default, that are never set here: two of the abort callback, and
        # one that is newer than the headers these declarations follow.
        ("callbacks", c_void_p * 3),
        ("embeddings", c_bool),
        ("offload_kqv", c_bool),
        ("no_perf", c_bool),
        ("op_offload", c_bool),
        ("swa_full", c_bool),
        ("kv_unified", c_bool),
        ("samplers", c_void_p),
        ("n_samplers", c_size_t),
        ("ctx_other", c_void_p),
    )


class Batch(Structure):
    """`struct llama_batch`."""

    _fields_ = (
        ("n_tokens", c_int32),
        ("token", c_void_p),
        ("embd", c_void_p),
        ("pos", c_void_p),
        ("n_seq_id", c_void_p),
        ("seq_id", c_void_p),
        ("logits", c_void_p),
    )


LogCallback = ctypes.CFUNCTYPE(None, c_int32, c_char_p, c_void_p)

_SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
    "llama_version": (c_char_p, ()),
    "llama_print_system_info": (c_char_p, ()),
    "llama_log_set": (None, (LogCallback, c_void_p)),
    "llama_backend_init": (None, ()),
    "llama_model_default_params": (ModelParams, ()),
    "llama_context_default_params": (ContextParams, ()),
    "llama_model_load_from_file": (c_void_p, (c_char_p, ModelParams)),
    "llama_model_free": (None, (c_void_p,)),
    "llama_model_get_vocab": (c_void_p, (c_void_p,)),
    "llama_model_chat_template": (c_char_p, (c_void_p, c_char_p)),
    "llama_model_meta_val_str": (c_int32, (c_void_p, c_char_p, c_char_p, c_size_t)),
    "llama_model_size": (u64, (c_void_p,)),
    "llama_model_n_ctx_train": (c_int32, (c_void_p,)),
    "llama_model_n_swa": (c_int32, (c_void_p,)),
    "llama_model_has_encoder": (c_bool, (c_void_p,)),
    "llama_model_is_recurrent": (c_bool, (c_void_p,)),
    "llama_model_is_hybrid": (c_bool, (c_void_p,)),
    "llama_init_from_model": (c_void_p, (c_void_p, ContextParams)),
    "llama_free": (None, (c_void_p,)),
    "llama_get_memory": (c_void_p, (c_void_p,)),
    "llama_memory_seq_rm": (c_bool, (c_void_p, c_int32, c_int32, c_int32)),
    "llama_memory_seq_cp": (None, (c_void_p, c_int32, c_int32, c_int32, c_int32)),
    "llama_memory_seq_pos_max": (c_int32, (c_void_p, c_int32)),
    "llama_state_seq_get_size": (c_size_t, (c_void_p, c_int32)),
    "llama_state_seq_get_data": (c_size_t, (c_void_p, c_void_p, c_size_t, c_int32)),
    "llama_state_seq_set_data": (c_size_t, (c_void_p, c_void_p, c_size_t, c_int32)),
    "llama_adapter_lora_init": (c_void_p, (c_void_p, c_char_p)),
    "llama_adapter_lora_free": (None, (c_void_p,)),
    "llama_set_adapters_lora": (
        c_int32,
        (c_void_p, POINTER(c_void_p), c_size_t, POINTER(c_float)),
    ),
    "llama_decode": (c_int32, (c_void_p, Batch)),
    "llama_get_logits": (POINTER(c_float), (c_void_p,)),
    "llama_vocab_n_tokens": (c_int32, (c_void_p,)),
    "llama_vocab_bos": (c_int32, (c_void_p,)),
    "llama_vocab_eos": (c_int32, (c_void_p,)),
    "llama_vocab_get_add_bos": (c_bool, (c_void_p,)),
    "llama_vocab_is_eog": (c_bool, (c_void_p, c_int32)),
    "llama_vocab_get_attr": (c_int32, (c_void_p, c_int32)),
    "llama_tokenize": (
        c_int32,
        (c_void_p, c_char_p, c_int32, POINTER(c_int32), c_int32, c_bool, c_bool),
    ),
    "llama_token_to_piece": (
        c_int32,
        (c_void_p, c_int32, c_char_p, c_int32, c_int32, c_bool),
    ),
}

_KNOWN_DEFAULTS: dict[str, dict[str, object]] = {
    "llama_model_default_params": {
        "devices": None,
        "tensor_buft_overrides": None,
        "n_gpu_layers": -1,
        "split_mode": SPLIT_MODE_LAYER,
        "load_mode": LOAD_MODE_AUTO,
        "lazy_mode": LAZY_MODE_AUTO,
        "main_gpu": 0,
        "tensor_split": None,
        "progress_callback": None,
        "kv_overrides": None,
        "vocab_only": False,
        "check_tensors": False,
        "use_extra_bufts": True,
        "no_host": False,
        "no_alloc": False,
    },
    "llama_context_default_params": {
        "n_ctx": 512,
        "n_batch": 2048,
        "n_ubatch": 512,
        "n_seq_max": 1,
        "n_rs_seq": 0,
        "n_outputs_max": 0,
        "n_threads": 4,
        "n_threads_batch": 4,
        "rope_scaling_type": UNSPECIFIED,
        "pooling_type": UNSPECIFIED,
        "attention_type": UNSPECIFIED,
        "flash_attn_type": FLASH_ATTENTION_AUTO,
        "rope_freq_base": 0.0,
        "n_outputs_max_per_seq": 1,
        "yarn_ext_factor": -1.0,
        "yarn_beta_slow": -1.0,
        "defrag_thold": -1.0,
        "cb_eval": None,
        "type_k": TYPE_F16,
        "type_v": TYPE_F16,
        "embeddings": False,
        "offload_kqv": True,
        "op_offload": True,
        "swa_full": True,
        "kv_unified": False,
        "samplers": None,
        "n_samplers": 0,
        "ctx_other": None,
    },
}


def find_library() -> Path:
    """Finds the library in the installed xllamacpp package, without importing the package.

    Raises:
        LibraryError: The package is not installed or does not contain the library.
    """
    spec = importlib.util.find_spec("xllamacpp")
    if spec is None or not spec.submodule_search_locations:
        raise LibraryError(
            f"llama.cpp is not installed; install it with: {install_extra('endpoint')}"
        )
    for folder in spec.submodule_search_locations:
        for path in sorted(Path(folder).glob("xllamacpp*.so")):
            return path
    raise LibraryError("the installed xllamacpp package contains no library for this platform")


def load(path: Path) -> ctypes.CDLL:
    """Loads the library, declares its functions, and checks its version and struct layouts.

    From then on, llama.cpp logs to the logger `friendli_endpoint.llama`.

    Raises:
        LibraryError: The library cannot be loaded, lacks a function, or has an unsupported version
            or struct layout.
    """
    # When llama.cpp aborts, it would start a debugger, which may never end.
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise LibraryError(f"the library {path} cannot be loaded: {error}") from error
    for name, (result, arguments) in _SIGNATURES.items():
        try:
            function = getattr(library, name)
        except AttributeError:
            raise LibraryError(f"the library {path} has no function {name}") from None
        function.restype = result
        function.argtypes = arguments
    _check_interface(library, path)
    library.llama_log_set(_forward_log, None)
    library.llama_backend_init()
    return library


def _check_interface(library: ctypes.CDLL, path: Path) -> None:
    version = (library.llama_version() or b"").decode(errors="replace")
    if version not in KNOWN_VERSIONS:
        known = ", ".join(sorted(KNOWN_VERSIONS))
        raise LibraryError(
            f"the library {path} is llama.cpp {version!r}; this release supports {known}"
        )
    for name, expected in _KNOWN_DEFAULTS.items():
        defaults = getattr(library, name)()
        for field, value in expected.items():
            actual = getattr(defaults, field)
            if actual != value:
                raise LibraryError(
                    f"the library {path} has an unsupported interface: "
                    f"{name}().{field} is {actual!r}, expected {value!r}"
                )


_WARNING = 3
_LEVELS = {1: logging.DEBUG, 2: logging.DEBUG, _WARNING: logging.INFO, 4: logging.ERROR}
_line = ""


@contextmanager
def warnings_as_debug() -> Iterator[None]:
    """Logs llama.cpp's warnings at DEBUG within the block, which causes them intentionally."""
    before = _LEVELS[_WARNING]
    _LEVELS[_WARNING] = logging.DEBUG
    try:
        yield
    finally:
        _LEVELS[_WARNING] = before


def _forward(level: int, text: bytes | None, _user: object) -> None:
    """Joins llama.cpp's log fragments into lines and logs them: warnings as INFO, info as DEBUG."""
    global _line
    _line += (text or b"").decode(errors="replace")
    if _line.endswith("\n"):
        log.log(_LEVELS.get(level, logging.DEBUG), "%s", _line.rstrip())
        _line = ""


_forward_log = LogCallback(_forward)
"""The log callback; it must never be garbage-collected, because the library keeps calling it."""
