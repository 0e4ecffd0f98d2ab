"""ctypes declarations of llama.cpp: functions, structs and their default values.

Struct layouts change between builds without notice, and a wrong layout corrupts memory. The version
of a library does not determine its layout, because development versions span many builds. So
`library.py` also reads the default parameter structs of a library, and rejects one in which a value
is not at its place. This module contains declarations only.
"""

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    c_bool,
    c_char_p,
    c_float,
    c_int32,
    c_size_t,
    c_void_p,
)
from ctypes import c_uint32 as u32
from ctypes import c_uint64 as u64

__all__ = [
    "FLASH_ATTENTION_AUTO",
    "FLASH_ATTENTION_OFF",
    "FLASH_ATTENTION_ON",
    "KNOWN_DEFAULTS",
    "KNOWN_VERSIONS",
    "SIGNATURES",
    "Batch",
    "ContextParams",
    "LogCallback",
    "ModelParams",
]

KNOWN_VERSIONS = {
    "0.6.0-dev": ("b11549",),
    "0.7.0-dev": ("b11669", "b11739"),
}
"""Supported values of `llama_version()`, and the builds with which they were tested.

The struct layouts are those of b11548 to b11739. Until b11391, `moe_cache_size` was not there yet,
and the states of sequences had another layout, so that short ones had no flash attention.
"""

LOAD_MODE_AUTO, LAZY_MODE_AUTO, SPLIT_MODE_LAYER = -1, 1, 1
FLASH_ATTENTION_AUTO, FLASH_ATTENTION_OFF, FLASH_ATTENTION_ON = -1, 0, 1
TYPE_F16 = 1
UNSPECIFIED = -1


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
        ("moe_cache_size", c_size_t),
        ("abort_callback", c_void_p),
        ("abort_callback_data", c_void_p),
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


LogCallback = CFUNCTYPE(None, c_int32, c_char_p, c_void_p)

SIGNATURES: dict[str, tuple[object, tuple[object, ...]]] = {
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
    "llama_set_n_threads": (None, (c_void_p, c_int32, c_int32)),
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
    "ggml_backend_load": (c_void_p, (c_char_p,)),
    "ggml_backend_reg_count": (c_size_t, ()),
    "ggml_backend_dev_count": (c_size_t, ()),
    "ggml_backend_dev_get": (c_void_p, (c_size_t,)),
    "ggml_backend_dev_name": (c_char_p, (c_void_p,)),
    "ggml_backend_dev_description": (c_char_p, (c_void_p,)),
    "ggml_backend_dev_type": (c_int32, (c_void_p,)),
    "ggml_backend_dev_memory": (None, (c_void_p, POINTER(c_size_t), POINTER(c_size_t))),
}
"""Result and parameter types of the functions."""

KNOWN_DEFAULTS: dict[str, dict[str, object]] = {
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
"""Values of the default parameter structs by which their layouts are recognised."""
