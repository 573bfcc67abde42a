{{/* The name of every object. */}}
{{- define "portico.name" -}}
{{- if contains "portico" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-portico" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{/* The labels that select the pods. */}}
{{- define "portico.selector" -}}
app.kubernetes.io/name: portico
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "portico.labels" -}}
{{ include "portico.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* What `portico serve --kubernetes` needs of each namespace that it reads, and nothing more. */}}
{{- define "portico.rules" -}}
# Of Pods only the metadata is asked for: their labels, for the subsets of DestinationRules.
- apiGroups: [""]
  resources: [services, pods]
  verbs: [list, watch]
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
- apiGroups: [networking.istio.io]
  resources: [gateways, virtualservices, destinationrules, serviceentries, workloadentries]
  verbs: [list, watch]
# They are not in effect yet: a gateway that one of them selects does not serve without it.
- apiGroups: [security.istio.io]
  resources: [authorizationpolicies, requestauthentications]
  verbs: [list, watch]
{{- end }}

{{/* What --status-writer needs of each of these namespaces besides. */}}
{{- define "portico.statusRules" -}}
- apiGroups: [networking.istio.io]
  resources: [gateways/status, virtualservices/status, destinationrules/status, serviceentries/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create]
{{- end }}

{{- define "portico.subjects" -}}
- kind: ServiceAccount
  name: {{ include "portico.name" . }}
  namespace: {{ .Release.Namespace }}
{{- end }}
