"""The settings of the service, for administrators."""

from typing import Self

import strawberry

from app.accounts.viewer import Role
from app.settings import Settings
from app.settings.effective import EffectiveSetting, Origin, effective
from schema.core.directives import Cost, ListSize
from schema.core.enums import enum_of
from schema.execution.context import Info
from schema.execution.permissions import requires

enum_of(
    Origin,
    "SettingSource",
    "The origin of a setting's value.",
    {
        Origin.DEFAULT: "It is not set.",
        Origin.ENVIRONMENT: "An environment variable.",
        Origin.FILE: "The file that an environment variable names, with `_FILE` after the setting's name.",
        Origin.OPTION: "An option of `marquee serve`.",
        Origin.GENERATED: "The service has made it, for the embedded database.",
    },
)


@strawberry.type(description="A setting of the process that answers.")
class Setting:
    name: str = strawberry.field(description="The name of the environment variable.")
    value: str | None = strawberry.field(
        description="The value, as in the environment; null if it is unset or a secret."
    )
    default: str | None = strawberry.field(description="The value if it is not set; null if there is none.")
    source: Origin = strawberry.field(description="The origin of the value.")
    is_secret: bool = strawberry.field(description="Whether the value is left out.")
    description: str = strawberry.field(description="What the setting does.")

    @classmethod
    def of(cls, setting: EffectiveSetting) -> Self:
        return cls(
            name=setting.name,
            value=setting.value,
            default=setting.default,
            source=setting.source,
            is_secret=setting.is_secret,
            description=setting.description,
        )


@strawberry.type
class SettingQuery:
    @strawberry.field(
        directives=[Cost(weight=60), ListSize(assumed_size=len(Settings.model_fields))],
        description="The settings of the process that answers, by name, without secrets.",
        extensions=requires(Role.ADMIN),
    )
    async def settings(self, info: Info) -> list[Setting]:
        return [Setting.of(setting) for setting in effective(info.context.settings)]
