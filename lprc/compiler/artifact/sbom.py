"""An artefact's bill of materials: CycloneDX with a model card (an "ML-BOM").

https://cyclonedx.org/docs/1.6/json; the packages' urls are of https://github.com/package-url.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lprc.compiler.artifact.manifest_file import FILE, read_manifest
from lprc.core.errors import InvalidModelError, MissingDependencyError
from lprc.core.files.digest import sha256

if TYPE_CHECKING:
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:lprc:manifest")
_ARTEFACT, _SOURCE, _CALIBRATION = "artefact", "source", "calibration"


def sbom(folder: Path) -> str:
    """The bill of materials of the artefact in `folder`, as JSON text (CycloneDX 1.6).

    It holds what the manifest says and no time: its serial number is made from the manifest, so
    that one artefact has one bill.

    Raises:
        InvalidModelError: No artefact, or its manifest says what no bill may hold.
        MissingDependencyError: The CycloneDX library is not installed.
    """
    try:
        from cyclonedx.output.json import JsonV1Dot6
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError as error:
        raise MissingDependencyError(
            "the CycloneDX library is not installed", hint='pip install "lprc[sbom]"'
        ) from error
    manifest = read_manifest(folder)
    bill = _bill(manifest, uuid.uuid5(_NAMESPACE, sha256(folder / FILE)))
    document = json.loads(JsonV1Dot6(bill).output_as_string())
    # The library's model has no model cards; its validator knows them.
    document["metadata"]["component"]["modelCard"] = _model_card(manifest)
    text = json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise InvalidModelError(
            f"no bill of materials can be made from it: {str(wrong).splitlines()[0]}",
            where=str(folder / FILE),
            path=folder / FILE,
        )
    return text


def _bill(manifest: Mapping[str, Any], serial: uuid.UUID) -> Bom:
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import ComponentType

    artefact = _artefact(manifest, str(serial))
    used = [
        _component(
            ComponentType.MACHINE_LEARNING_MODEL,
            _SOURCE,
            manifest["source"]["name"],
            hash_=manifest["source"]["sha256"],
        )
    ]
    if manifest["calibration"] is not None:
        used.append(
            _component(
                ComponentType.DATA,
                _CALIBRATION,
                "calibration data",
                hash_=manifest["calibration"]["sha256"],
            )
        )
    tools = [_package(name, version) for name, version in sorted(manifest["tools"].items())]
    metadata = BomMetaData(component=artefact, tools=[])
    metadata.tools.components.add(_package("lprc", manifest["lprc"]))
    bill = Bom(serial_number=serial, metadata=metadata, components=[*used, *tools])
    metadata.timestamp = None  # type: ignore[assignment] # optional in the format
    bill.register_dependency(artefact, [*used, *tools])
    return bill


def _artefact(manifest: Mapping[str, Any], version: str) -> Component:
    from cyclonedx.model import Property
    from cyclonedx.model.component import ComponentType

    component = _component(
        ComponentType.MACHINE_LEARNING_MODEL,
        _ARTEFACT,
        f"{Path(manifest['source']['name']).stem} for {manifest['target']}",
        version=version,
    )
    for name, listed in manifest["files"].items():
        kind = ComponentType.FILE
        component.components.add(_component(kind, f"file:{name}", name, hash_=listed["sha256"]))
    for key in ("target", "runtime", "precision", "pipeline", "config_sha256"):
        component.properties.add(Property(name=f"lprc:{key}", value=manifest[key]))
    for number, text in enumerate(manifest["warnings"]):
        component.properties.add(Property(name=f"lprc:warning:{number}", value=text))
    return component


def _component(
    kind: ComponentType,
    reference: str,
    name: str,
    *,
    version: str | None = None,
    hash_: str | None = None,
) -> Component:
    from cyclonedx.model import HashAlgorithm, HashType
    from cyclonedx.model.component import Component

    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=hash_)] if hash_ else []
    return Component(type=kind, bom_ref=reference, name=name, version=version, hashes=hashes)


def _package(name: str, version: str) -> Component:
    from cyclonedx.model.component import ComponentType
    from packageurl import PackageURL

    package = _component(ComponentType.LIBRARY, f"package:{name}", name, version=version)
    package.purl = PackageURL("pypi", name=name, version=version)
    return package


def _model_card(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What it was calibrated on, and how well it does."""
    parameters: dict[str, Any] = {}
    if manifest["calibration"] is not None:
        parameters["datasets"] = [{"ref": _CALIBRATION}]
    metrics = [
        {"type": name, "value": str(metric["value"])}
        for name, metric in sorted(manifest["metrics"].items())
    ]
    return {
        "modelParameters": parameters,
        "quantitativeAnalysis": {"performanceMetrics": metrics},
    }
