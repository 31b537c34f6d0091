"""What each tool writes, in its documented format, for pictures of one red fox."""

import json
from typing import Any

INFOTEXT = """a red fox, <lora:fur:0.8> in snow
second line: 35mm
Negative prompt: blurry, lowres,
text
Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.0, Seed: 1234567890, \
Size: 512x768, Model hash: 6ce0161689, Model: dreamshaper_8, Lora hashes: "fur: e3b0, Steps: 9", \
Version: v1.10.1"""

FORGE_INFOTEXT = """a red fox
Steps: 8, Sampler: Euler, Schedule type: Simple, CFG scale: 1, Distilled CFG Scale: 3.5, Seed: 5, \
Size: 1024x1024, Model: flux1-dev-bnb-nf4-v2, Version: f2.0.1v1.10.1-previous"""

SWARM: dict[str, Any] = {
    "sui_image_params": {
        "prompt": "a red fox",
        "negativeprompt": "blurry",
        "model": "OfficialStableDiffusion/sd_xl_base_1.0",
        "seed": 42,
        "steps": 20,
        "cfgscale": 7.0,
        "aspectratio": "1:1",
        "width": 1024,
        "height": 1024,
        "sampler": "dpmpp_2m",
        "scheduler": "karras",
        "loras": ["fur", "snow"],
        "loraweights": ["0.8", "1"],
        "swarm_version": "0.9.5.0",
    },
    "sui_extra_data": {"date": "2025-01-01"},
}

FOOOCUS = {
    "adm_guidance": "(1.5, 0.8, 0.3)",
    "base_model": "juggernautXL_v8Rundiffusion",
    "base_model_hash": "aeb7e9e689",
    "guidance_scale": 4,
    "loras": [["sd_xl_offset_example-lora_1.0", 0.1, "4852686128"]],
    "negative_prompt": "blurry",
    "performance": "Speed",
    "prompt": "a red fox",
    "resolution": "(1152, 896)",
    "sampler": "dpmpp_2m_sde_gpu",
    "scheduler": "karras",
    "seed": "8563985398",
    "steps": 30,
    "version": "Fooocus v2.4.1",
}

INVOKE = {
    "app_version": "5.0.0",
    "generation_mode": "sdxl_txt2img",
    "positive_prompt": "a red fox",
    "negative_prompt": "blurry",
    "width": 832,
    "height": 1216,
    "seed": 99,
    "cfg_scale": 5.5,
    "steps": 30,
    "scheduler": "dpmpp_2m_k",
    "model": {"key": "k", "name": "Juggernaut XL v9", "base": "sdxl"},
    "loras": [{"model": {"name": "fur"}, "weight": 0.75}],
}

INVOKE_2 = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "app_version": "2.3.0",
    "image": {
        "prompt": [{"prompt": "a red fox [blurry]", "weight": 1.0}],
        "steps": 50,
        "cfg_scale": 7.5,
        "sampler": "k_lms",
        "seed": 7,
        "width": 512,
        "height": 512,
    },
}

NOVEL = {
    "Title": "NovelAI generated image",
    "Description": "a red fox",
    "Software": "NovelAI",
    "Source": "NovelAI Diffusion V4.5 4BDE2A90",
    "Comment": json.dumps(
        {
            "prompt": "a red fox",
            "steps": 28,
            "height": 1216,
            "width": 832,
            "scale": 5.0,
            "uc": "blurry",
            "seed": 3141592653,
            "sampler": "k_euler_ancestral",
            "noise_schedule": "karras",
        }
    ),
}

Graph = dict[str, dict[str, Any]]


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def classic_graph() -> Graph:
    """Checkpoint, a LoRA, KSampler, and an enlarging second pass with other settings."""
    return {
        "30": node(
            "KSampler",
            seed=2,
            steps=9,
            cfg=4.0,
            sampler_name="dpmpp_sde",
            scheduler="normal",
            denoise=0.4,
            model=["10", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["29", 0],
        ),
        "29": node("LatentUpscale", samples=["3", 0], width=1024, height=1024),
        "3": node(
            "KSampler",
            seed=156680208700286,
            steps=20,
            cfg=8.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
            model=["10", 0],
            positive=["6", 0],
            negative=["7", 0],
            latent_image=["5", 0],
        ),
        "10": node(
            "LoraLoader",
            lora_name="animals\\fur.safetensors",
            strength_model=0.8,
            strength_clip=1.0,
            model=["4", 0],
            clip=["4", 1],
        ),
        "4": node("CheckpointLoaderSimple", ckpt_name="sd15/v1-5-pruned-emaonly.safetensors"),
        "5": node("EmptyLatentImage", width=512, height=768, batch_size=1),
        "6": node("CLIPTextEncode", text="a red fox", clip=["10", 1]),
        "7": node("CLIPTextEncode", text="blurry", clip=["10", 1]),
        "8": node("VAEDecode", samples=["30", 0], vae=["4", 2]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
    }


def flux_graph() -> Graph:
    """The official Flux example: SamplerCustomAdvanced, sizes from primitive nodes."""
    return {
        "5": node("EmptySD3LatentImage", width=["34", 0], height=["35", 0], batch_size=1),
        "6": node("CLIPTextEncode", text=["40", 0], clip=["11", 0]),
        "8": node("VAEDecode", samples=["13", 0], vae=["10", 0]),
        "9": node("SaveImage", filename_prefix="ComfyUI", images=["8", 0]),
        "10": node("VAELoader", vae_name="ae.safetensors"),
        "11": node(
            "DualCLIPLoader", clip_name1="t5xxl.safetensors", clip_name2="clip_l.safetensors"
        ),
        "12": node("UNETLoader", unet_name="flux1-dev.safetensors", weight_dtype="default"),
        "13": node(
            "SamplerCustomAdvanced",
            noise=["25", 0],
            guider=["22", 0],
            sampler=["16", 0],
            sigmas=["17", 0],
            latent_image=["5", 0],
        ),
        "16": node("KSamplerSelect", sampler_name="euler"),
        "17": node("BasicScheduler", scheduler="simple", steps=20, denoise=1, model=["30", 0]),
        "22": node("BasicGuider", model=["30", 0], conditioning=["26", 0]),
        "25": node("RandomNoise", noise_seed=219670278747233),
        "26": node("FluxGuidance", guidance=3.5, conditioning=["6", 0]),
        "28": node(
            "LoraLoaderModelOnly", lora_name="a.safetensors", strength_model=1, model=["12", 0]
        ),
        "29": node(
            "LoraLoaderModelOnly", lora_name="b.safetensors", strength_model=0.5, model=["28", 0]
        ),
        "30": node("ModelSamplingFlux", max_shift=1.15, width=9, height=9, model=["29", 0]),
        "34": node("PrimitiveNode", value=1024),
        "35": node("PrimitiveInt", value=768),
        "40": node("StringConcatenate", string_a="a red", string_b=["41", 0], delimiter=" "),
        "41": node("PrimitiveString", value="fox"),
    }


def drawing_of(graph: Graph) -> dict[str, Any]:
    """The editor's drawing of the same graph, as far as anybody reads it."""
    links = [
        [0, value[0], value[1], id_, 0, name.upper()]
        for id_, drawn in graph.items()
        for name, value in drawn["inputs"].items()
        if isinstance(value, list)
    ]
    return {"nodes": [], "links": links}
