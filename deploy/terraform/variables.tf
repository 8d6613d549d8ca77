variable "project" {
  description = "Google Cloud project"
  type        = string
}

variable "region" {
  description = "Region of everything"
  type        = string
  default     = "europe-west1"
}

variable "image" {
  description = "The image of deploy/Dockerfile, by digest: REGION-docker.pkg.dev/PROJECT/progress/progress-context@sha256:…"
  type        = string
}

variable "database_tier" {
  description = "Machine of Cloud SQL; see the scaling guide in docs/operations.md"
  type        = string
  default     = "db-custom-4-16384"
}

variable "database_disk_gb" {
  description = "First size of the database's disk; it grows by itself"
  type        = number
  default     = 100
}

variable "cache_node_type" {
  description = "Machine of Memorystore; the cache may be lost at any time, so the smallest will do"
  type        = string
  default     = "SHARED_CORE_NANO"
}

variable "auth_jwks_url" {
  description = "Keys that sign the tokens of those who ask, e.g. https://issuer.example/.well-known/jwks.json"
  type        = string
}

variable "auth_issuer" {
  description = "Who issues these tokens: their claim iss"
  type        = string
}

variable "auth_audience" {
  description = "For whom they must be: their claim aud"
  type        = string
}

variable "query_invokers" {
  description = "Who may call progress-query, e.g. [\"allUsers\"]: the service asks for tokens itself"
  type        = set(string)
  default     = []
}

variable "command_invokers" {
  description = "Who may post events, e.g. [\"serviceAccount:app@PROJECT.iam.gserviceaccount.com\"]"
  type        = set(string)
  default     = []
}

variable "publishers" {
  description = "Who may publish to the source topics: the service accounts of the other contexts"
  type        = set(string)
  default     = []
}
