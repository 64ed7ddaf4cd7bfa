"""Checks files of `config/` for platforms that are not at hand, and says what is wrong; nothing is asked of any server.

    deploy.py kubernetes FILE...     by the published schema (kubernetes-validate), of the oldest version that we name and the
                                     newest, without unknown keys; and what the schema leaves open: closed sets of words, and
                                     that names refer to something in the files
    deploy.py containerapps FILE...  by the classes of Microsoft's own client (azure-mgmt-appcontainers): names, types, what is
                                     required, what only the service may set, known words, and that names refer to something
    deploy.py compose FILE...        by compose_spec, which knows every key of the specification and its values
    deploy.py yaml FILE              the documents of a file as JSON
"""

import enum
import json
import sys
import types
import typing

import yaml

OLDEST, NEWEST = "1.31", "1.37"

# The published schema has them as any text; the words are those of its descriptions.
WORDS = {
    "concurrencyPolicy": {"Allow", "Forbid", "Replace"},
    "restartPolicy": {"Always", "OnFailure", "Never"},
    "action": {"Count", "FailIndex", "FailJob", "Ignore"},
    "operator": {"In", "NotIn"},
    "fsGroupChangePolicy": {"Always", "OnRootMismatch"},
    "accessModes": {"ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"},
    "policyTypes": {"Ingress", "Egress"},
}


def kubernetes(files):
    import kubernetes_validate

    documents = [(file, document) for file in files for document in yaml.safe_load_all(open(file)) if document]
    problems = []
    for file, document in documents:
        at = f"{file}: {document.get('kind')}"
        for version in (OLDEST, NEWEST):
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                path = ".".join(str(part) for part in getattr(error, "path", []))
                problems.append(f"{at}, version {version}: {path}: {error.message}")
        problems += [f"{at}: {problem}" for problem in words(document, ()) + references(document)]
    problems += across([document for _, document in documents])
    return problems


def words(value, path):
    """Words outside of their closed set."""
    problems = []
    if isinstance(value, dict):
        for key, inner in value.items():
            if path and path[-1] == "strategy" and key == "type" and inner not in {"Recreate", "RollingUpdate"}:
                problems.append(f"{'.'.join(path)}.{key} is {inner!r}")
            if path and path[-1] == "seccompProfile" and key == "type" and inner not in {"RuntimeDefault", "Localhost"}:
                problems.append(f"{'.'.join(path)}.{key} is {inner!r}")
            for word in inner if isinstance(inner, list) else [inner]:
                if key in WORDS and isinstance(word, str) and word not in WORDS[key]:
                    problems.append(f"{'.'.join((*path, key))} is {word!r}, not one of {sorted(WORDS[key])}")
            problems += words(inner, (*path, str(key)))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            problems += words(inner, (*path, str(number)))
    return problems


def pods(value):
    """Every pod template with the job spec around it."""
    if isinstance(value, dict):
        if "template" in value and "containers" in value["template"].get("spec", {}):
            yield value
        for inner in value.values():
            yield from pods(inner)


def references(document):
    """Names inside of one object that lead to nothing."""
    problems = []
    for around in pods(document):
        spec = around["template"]["spec"]
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        mounted = {mount["name"] for container in spec["containers"] for mount in container.get("volumeMounts", [])}
        problems += [f"no volume `{name}`" for name in mounted - volumes]
        problems += [f"volume `{name}` is mounted nowhere" for name in volumes - mounted]
        names = {container["name"] for container in spec["containers"]}
        for rule in around.get("podFailurePolicy", {}).get("rules", []):
            name = rule.get("onExitCodes", {}).get("containerName")
            if name and name not in names:
                problems.append(f"no container `{name}`")
        if "podFailurePolicy" in around and spec.get("restartPolicy") != "Never":
            problems.append("podFailurePolicy needs restartPolicy: Never")
        for container in spec["containers"]:
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                port = container.get(probe, {}).get("httpGet", {}).get("port")
                if isinstance(port, str) and port not in ports:
                    problems.append(f"{probe}: no port `{port}`")
            problems += [f"container `{container['name']}`: {problem}" for problem in restricted(spec, container)]
        labels = around["template"].get("metadata", {}).get("labels", {})
        wanted = around.get("selector", {}).get("matchLabels", {})
        if not wanted.items() <= labels.items():
            problems.append("the selector does not select its own pods")
    return problems


def restricted(spec, container):
    """Where it asks for more than the pod security standard `restricted` allows (Kubernetes' own list), or may write its root."""
    inner, outer = container.get("securityContext", {}), spec.get("securityContext", {})
    both = {**outer, **inner}
    wrong = {
        "allowPrivilegeEscalation is not false": inner.get("allowPrivilegeEscalation") is not False,
        "capabilities are not dropped": inner.get("capabilities", {}).get("drop") != ["ALL"],
        "runAsNonRoot is not true": both.get("runAsNonRoot") is not True,
        "runAsUser is root": both.get("runAsUser") == 0,
        "no seccompProfile": both.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"},
        "readOnlyRootFilesystem is not true": inner.get("readOnlyRootFilesystem") is not True,
        "it shares the host's namespaces": any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")),
        "a volume of the host": any("hostPath" in volume for volume in spec.get("volumes", [])),
    }
    return [problem for problem, is_so in wrong.items() if is_so]


def across(documents):
    """Names of other objects that none of the files has. Secrets are never in files."""
    has = {(document.get("kind"), document.get("metadata", {}).get("name")) for document in documents}
    problems = []
    for document in documents:
        for around in pods(document):
            for volume in around["template"]["spec"].get("volumes", []):
                for kind, name in [("ConfigMap", volume.get("configMap", {}).get("name")),
                                   ("PersistentVolumeClaim", volume.get("persistentVolumeClaim", {}).get("claimName"))]:
                    if name and (kind, name) not in has:
                        problems.append(f"no {kind} `{name}` in these files")
        selected = {"Service": ("spec", "selector"), "NetworkPolicy": ("spec", "podSelector", "matchLabels")}
        path = selected.get(document.get("kind"))
        if path:
            wanted = document
            for key in path:
                wanted = wanted.get(key, {})
            labels = [around["template"].get("metadata", {}).get("labels", {}) for other in documents for around in pods(other)]
            if not any(wanted.items() <= found.items() for found in labels):
                problems.append(f"{document['kind']} `{document['metadata']['name']}` selects no pod of these files")
    return problems


def containerapps(files):
    from azure.mgmt.appcontainers import models

    problems = []
    for file in files:
        job = yaml.safe_load(open(file))
        problems += [f"{file}: {problem}" for problem in model(models.Job, job, "")]
        if not problems:
            problems += [f"{file}: {problem}" for problem in job_references(job)]
    return problems


def model(cls, value, path):
    """Differences of a JSON object from a class of the client."""
    if not isinstance(value, dict):
        return [f"{path}: an object is needed, not {value!r}"]
    # A class knows its fields once one of it was made.
    cls.__new__(cls)
    module = sys.modules[cls.__module__]
    hints = typing.get_type_hints(cls, globalns={**vars(module), "_models": sys.modules[cls.__module__.rpartition(".")[0]]})
    fields = {field._rest_name: (hints[name], field) for name, field in cls._attr_to_rest_field.items()}
    problems = []
    for key, inner in value.items():
        at = f"{path}.{key}".lstrip(".")
        if key not in fields:
            problems.append(f"{at}: unknown; known are {', '.join(sorted(fields))}")
        elif fields[key][1]._visibility == ["read"]:
            problems.append(f"{at}: only the service sets it")
        else:
            problems += typed(fields[key][0], inner, at)
    for key, (hint, field) in fields.items():
        is_optional = type(None) in typing.get_args(hint)
        if not is_optional and field._visibility != ["read"] and key not in value:
            problems.append(f"{path}: `{key}` is missing".lstrip(": "))
    return problems


def typed(hint, value, path):
    """Differences of a value from a type of the client."""
    origin, arguments = typing.get_origin(hint), [part for part in typing.get_args(hint) if part is not type(None)]
    if origin in (typing.Union, types.UnionType):
        known = [part for part in arguments if isinstance(part, type) and issubclass(part, enum.Enum)]
        # `str or Known` takes any text, for words of the future: here only today's.
        if known:
            allowed = [word.value for word in known[0]]
            return [] if value in allowed else [f"{path}: {value!r} is not one of {', '.join(allowed)}"]
        return typed(arguments[0], value, path) if len(arguments) == 1 else []
    if origin is list:
        if not isinstance(value, list):
            return [f"{path}: a list is needed, not {value!r}"]
        return [problem for number, inner in enumerate(value) for problem in typed(arguments[0], inner, f"{path}[{number}]")]
    if origin is dict:
        if not isinstance(value, dict):
            return [f"{path}: an object is needed, not {value!r}"]
        return [problem for key, inner in value.items() for problem in typed(arguments[1], inner, f"{path}.{key}")]
    if hint.__module__.endswith("._models"):
        return model(hint, value, path)
    wanted = (int, float) if hint is float else hint
    is_right = isinstance(value, wanted) and not (isinstance(value, bool) and hint is not bool)
    return [] if is_right else [f"{path}: {hint.__name__} is needed, not {value!r}"]


def job_references(job):
    """Names that lead to nothing, and what the service would refuse: a trigger without its settings, an odd beat."""
    problems = []
    configuration, template = job["properties"]["configuration"], job["properties"]["template"]
    trigger = f"{configuration['triggerType'].lower()}TriggerConfig"
    if trigger not in configuration:
        problems.append(f"no `{trigger}`")
    elif "cronExpression" in configuration[trigger] and len(configuration[trigger]["cronExpression"].split()) != 5:
        problems.append("cronExpression has not five fields")
    secrets = {secret["name"] for secret in configuration.get("secrets", [])}
    volumes = {volume["name"] for volume in template.get("volumes", [])}
    for container in template["containers"]:
        used = {variable["secretRef"] for variable in container.get("env", []) if "secretRef" in variable}
        problems += [f"no secret `{name}`" for name in used - secrets]
        problems += [f"no volume `{mount['volumeName']}`" for mount in container.get("volumeMounts", [])
                     if mount["volumeName"] not in volumes]
    identities = set(job.get("identity", {}).get("userAssignedIdentities", {}))
    users = [*configuration.get("secrets", []), *configuration.get("registries", [])]
    problems += [f"identity of `{user.get('name', user.get('server'))}` is not assigned" for user in users
                 if user.get("identity") and user["identity"] not in identities]
    return problems


def compose(files):
    from compose_spec import PyCompose

    problems = []
    for file in files:
        try:
            PyCompose.from_yaml(open(file).read()).validate()
        except ValueError as error:
            problems.append(f"{file}: {error}")
    return problems


if __name__ == "__main__":
    verb, *names = sys.argv[1:]
    if verb == "yaml":
        print(json.dumps(list(yaml.safe_load_all(open(names[0])))))
    else:
        found = {"kubernetes": kubernetes, "containerapps": containerapps, "compose": compose}[verb](names)
        print("\n".join(found), file=sys.stderr)
        sys.exit(1 if found else 0)
