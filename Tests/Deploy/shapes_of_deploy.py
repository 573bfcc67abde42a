"""The fields of the Kubernetes objects in deploy/, as far as deploy/ uses them.

kustomize and Helm do not look into objects. The API server of the tests does (test_apply.py), but it is of version
1.20: it has no autoscaling/v2 and no policy/v1, and of a ServiceMonitor it knows no field. A shape is a type, a list of
one shape, or a dictionary of field to shape; `...` as a field stands for any name, a trailing `!` for a field that must
be there.
"""

TEXT = {...: str}
META = {"name!": str, "namespace": str, "labels": TEXT, "annotations": TEXT}
SELECTOR = {"matchLabels!": TEXT}
PORT = (int, str)
PROBE = {
    "httpGet!": {"path!": str, "port!": PORT},
    "periodSeconds": int, "timeoutSeconds": int, "failureThreshold": int, "initialDelaySeconds": int,
}
CONTAINER = {
    "name!": str, "image!": str, "imagePullPolicy": str, "args": [str],
    "env": [{"name!": str, "value": str, "valueFrom": {"fieldRef!": {"fieldPath!": str}}}],
    "ports": [{"name!": str, "containerPort!": int}],
    "startupProbe": PROBE, "readinessProbe": PROBE, "livenessProbe": PROBE,
    "lifecycle": {"preStop!": {"exec!": {"command!": [str]}}},
    "resources": {"requests!": TEXT, "limits!": TEXT},
    "securityContext!": {
        "allowPrivilegeEscalation!": bool, "readOnlyRootFilesystem!": bool, "capabilities!": {"drop!": [str]},
    },
}
POD = {
    "serviceAccountName": str, "automountServiceAccountToken": bool, "terminationGracePeriodSeconds": int,
    "restartPolicy": str,
    "securityContext!": {
        "runAsNonRoot!": bool, "runAsUser!": int, "runAsGroup!": int, "fsGroup": int,
        "seccompProfile!": {"type!": str},
    },
    "topologySpreadConstraints": [
        {"maxSkew!": int, "topologyKey!": str, "whenUnsatisfiable!": str, "labelSelector": SELECTOR},
    ],
    "containers!": [CONTAINER],
    "imagePullSecrets": [{"name!": str}], "nodeSelector": TEXT, "priorityClassName": str,
    "tolerations": [{"key": str, "operator": str, "value": str, "effect": str}],
}
PEER = {
    "namespaceSelector": {"matchLabels": TEXT}, "podSelector": SELECTOR, "ipBlock": {"cidr!": str},
}
ROLE = {"rules!": [{"apiGroups!": [str], "resources!": [str], "resourceNames": [str], "verbs!": [str]}]}
BINDING = {
    "roleRef!": {"apiGroup!": str, "kind!": str, "name!": str},
    "subjects!": [{"kind!": str, "name!": str, "namespace!": str}],
}
RULE_PORTS = [{"protocol!": str, "port!": PORT}]

SHAPES = {
    ("v1", "Namespace"): {},
    ("v1", "ServiceAccount"): {"automountServiceAccountToken": bool},
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): ROLE,
    ("rbac.authorization.k8s.io/v1", "Role"): ROLE,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): BINDING,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): BINDING,
    ("apps/v1", "Deployment"): {
        "spec!": {
            "replicas": int, "minReadySeconds": int, "selector": SELECTOR,
            "strategy": {"type": str, "rollingUpdate": {"maxSurge!": int, "maxUnavailable!": int}},
            "template!": {"metadata": {"labels": TEXT, "annotations": TEXT}, "spec!": POD},
        },
    },
    ("v1", "Service"): {
        "spec!": {
            "type": str, "externalTrafficPolicy": str, "loadBalancerSourceRanges": [str], "selector": TEXT,
            "clusterIP": str, "publishNotReadyAddresses": bool, "loadBalancerClass": str,
            "ports!": [{"name!": str, "port!": int, "targetPort": PORT, "protocol": str, "nodePort": int}],
        },
    },
    ("policy/v1", "PodDisruptionBudget"): {"spec!": {"maxUnavailable!": PORT, "selector!": SELECTOR}},
    ("autoscaling/v2", "HorizontalPodAutoscaler"): {
        "spec!": {
            "scaleTargetRef!": {"apiVersion!": str, "kind!": str, "name!": str},
            "minReplicas!": int, "maxReplicas!": int,
            "metrics!": [{
                "type!": str,
                "resource!": {"name!": str, "target!": {"type!": str, "averageUtilization!": int}},
            }],
            "behavior": {
                "scaleDown!": {
                    "stabilizationWindowSeconds": int,
                    "policies!": [{"type!": str, "value!": int, "periodSeconds!": int}],
                },
            },
        },
    },
    ("networking.k8s.io/v1", "NetworkPolicy"): {
        "spec!": {
            "podSelector!": SELECTOR, "policyTypes!": [str],
            "ingress": [{"from": [PEER], "ports": RULE_PORTS}],
            "egress": [{"to": [PEER], "ports": RULE_PORTS}],
        },
    },
    # Source: the Prometheus Operator's API reference, ServiceMonitorSpec.
    ("monitoring.coreos.com/v1", "ServiceMonitor"): {
        "spec!": {"selector!": SELECTOR, "endpoints!": [{"port!": str, "path": str, "interval": str}]},
    },
}


def problems(document):
    """Every misfit of one object, as `path: what`."""
    kind = (document.get("apiVersion"), document.get("kind"))
    if kind not in SHAPES:
        return [f"unknown object {kind}"]
    shape = {"apiVersion!": str, "kind!": str, "metadata!": META} | SHAPES[kind]
    return list(_misfits(document, shape, kind[1]))


def _misfits(value, shape, path):
    if isinstance(shape, dict):
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no mapping"
            return
        fields = {str(name).rstrip("!"): inner for name, inner in shape.items() if name is not ...}
        for name in shape:
            if name is not ... and name.endswith("!") and name[:-1] not in value:
                yield f"{path}: {name[:-1]} is missing"
        for name, inner in value.items():
            if name in fields:
                yield from _misfits(inner, fields[name], f"{path}.{name}")
            elif ... in shape:
                yield from _misfits(inner, shape[...], f"{path}.{name}")
            else:
                yield f"{path}: unknown field {name}"
    elif isinstance(shape, list):
        if not isinstance(value, list) or not value:
            yield f"{path}: {value!r} is no list with entries"
            return
        for index, inner in enumerate(value):
            yield from _misfits(inner, shape[0], f"{path}[{index}]")
    elif not isinstance(value, shape) or (isinstance(value, bool) and shape is not bool):
        yield f"{path}: {value!r} has the wrong type"
