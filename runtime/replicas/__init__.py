"""One model in several processes, behind the interface of one `Explainer`."""

from fluxpath.runtime.replicas.replicas import Replicas

__all__ = ["Replicas"]
