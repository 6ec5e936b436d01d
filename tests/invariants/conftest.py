from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile(
    "walks", max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("walks")
