"""Asks a server with kserve's clients: run in a process of its own, whose packages differ from the tests'."""

import asyncio
import sys

import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig


async def main(http: str, grpc: str, folder: str) -> None:
    """Write answers to the folder, as .npy files."""
    images = np.load(f"{folder}/images.npy")
    first = InferenceRESTClient(RESTConfig(protocol="v1"))
    second = InferenceRESTClient(RESTConfig(protocol="v2"))
    base = f"http://{http}"
    assert await second.is_server_live(base) and await second.is_server_ready(base)
    assert await second.is_model_ready(base, "smooth")
    assert await first.is_model_ready(base, "smooth")
    for binary in (False, True):
        tensor = InferInput("image", list(images.shape), "FP32")
        tensor.set_data_from_numpy(images, binary_data=binary)
        request = InferRequest("smooth", [tensor], parameters={"method": "neflag", "n": 2})
        found = await second.infer(base, request, model_name="smooth")
        np.save(f"{folder}/rest{int(binary)}.npy", values(found))
        async with InferenceGRPCClient(grpc) as client:
            assert await client.is_server_live() and await client.is_server_ready()
            assert await client.is_model_ready("smooth")
            np.save(f"{folder}/grpc{int(binary)}.npy", values(await client.infer(request)))
    explained = await first.explain(
        base, "smooth", {"instances": images.tolist(), "parameters": {"method": "neflag", "n": 2}}
    )
    np.save(f"{folder}/v1.npy", np.array([e["attribution"] for e in explained["explanations"]], np.float32))


def values(found):
    """The attribution in an answer."""
    return next(o.as_numpy() for o in found.outputs if o.name == "attribution")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
