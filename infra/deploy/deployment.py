"""The context that all steps share: names, tools, questions and the remembered settings."""

import getpass
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.deploy.tools import CommandFailed, StepFailed, Tool
from infra.release.cloud_run import CloudRun

ROOT = Path(__file__).parents[2]
CONFIGURATION = ROOT / "infra" / "terraform"
NONE = "none"
"""Value of DOMAIN that removes the load balancer."""


@dataclass
class Settings:
    """Settings of a deployment that are remembered. Later runs use them unless others are given."""

    region: str = ""
    domain: str = ""
    supabase_url: str = ""
    supabase_signs_hs256: bool = False
    gpu_weights: str = ""
    """`pulled` or `baked` for full models on GPUs, otherwise empty."""
    administrator: str = ""
    is_schedule_paused: bool = False
    """Whether the bucket of an earlier deployment is in use, and its rows are not imported yet."""
    image: str = ""
    gpu_image: str = ""


@dataclass
class Deployment:
    """A deployment in one project and region. `say` gets each line of output."""

    project: str
    region: str
    given: Settings = field(default_factory=Settings)
    """Settings of this call; empty ones are remembered ones."""
    settings: Settings = field(default_factory=Settings)
    watch_seconds: float = 300
    resumes_schedule: bool = False
    say: Callable[[str], object] = print
    ask_text: Callable[[str], str] = input
    ask_secret: Callable[[str], str] = getpass.getpass
    make_cloud: Callable[[str, str], CloudRun] = CloudRun
    sleep: Callable[[float], object] = time.sleep
    pending: list[str] = field(default_factory=list)
    """Work that is left to do by hand."""

    @property
    def gcloud(self) -> Tool:
        """Run gcloud for this project, without questions."""
        names = {"CLOUDSDK_CORE_PROJECT": self.project, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"}
        return Tool("gcloud", names, self.say)

    @property
    def terraform(self) -> Tool:
        """Run Terraform. Requests of a person's credentials are counted for this project, not for gcloud's."""
        folder = ROOT / ".lookalike" / "terraform" / self.project
        variables = {
            "TF_DATA_DIR": str(folder),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
            "USER_PROJECT_OVERRIDE": "true",
            "GOOGLE_BILLING_PROJECT": self.project,
        }
        return Tool("terraform", variables, self.say)

    @property
    def state_bucket(self) -> str:
        """Bucket of Terraform's state and of the remembered settings."""
        return f"gs://{self.project}-lookalike-state"

    @property
    def closet_bucket(self) -> str:
        """Bucket of photos, garments and indexes."""
        return f"gs://{self.project}-lookalike"

    @property
    def settings_object(self) -> str:
        """Object of the remembered settings."""
        return f"{self.state_bucket}/settings.json"

    @property
    def builder(self) -> str:
        """Account that builds images, and releases in Cloud Build."""
        return f"lookalike-builder@{self.project}.iam.gserviceaccount.com"

    def ask(self, question: str, variable: str) -> str:
        """Ask for a value that is needed. Raises `StepFailed` if nobody can answer or the answer is empty."""
        return self._ask(self.ask_text, question, variable)

    def ask_for_secret(self, question: str, variable: str) -> str:
        """Ask for a secret, which the terminal does not show."""
        return self._ask(self.ask_secret, question, variable)

    def _ask(self, ask: Callable[[str], str], question: str, variable: str) -> str:
        try:
            answer = ask(f"    {question}: ").strip()
        except EOFError:
            answer = ""
        if not answer:
            raise StepFailed(f"{question}: no answer", f"Answer the question, or set {variable}.")
        return answer

    def read_settings(self) -> None:
        """Read the remembered settings. Raises `StepFailed` if the deployment is in another region."""
        try:
            stored = json.loads(self.gcloud.run("storage", "cat", self.settings_object))
        except CommandFailed as error:
            if not error.is_not_found:
                raise
            stored = {}
        # a newer version may have stored more
        self.settings = Settings(**{name: value for name, value in stored.items() if name in vars(Settings())})
        region = self.settings.region
        if region not in ("", self.region):
            raise StepFailed(
                f"The deployment of this project is in {region}, not in {self.region}",
                f"Set REGION={region}. To move to another region, see docs/moving-regions.md.",
            )

    def save_settings(self, **changes: Any) -> bool:
        """Change remembered settings. Returns whether they were others before."""
        changed = {**vars(self.settings), **changes}
        if changed == vars(self.settings):
            return False
        self.settings = Settings(**changed)
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(changed, file, indent=2)
            file.flush()
            self.gcloud.run("storage", "cp", file.name, self.settings_object)
        return True
