terraform {
  required_version = ">= 1.9"
  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.20, < 8"
    }
    google-beta = {
      source  = "hashicorp/google-beta"
      version = ">= 6.20, < 8"
    }
    random = {
      source  = "hashicorp/random"
      version = "~> 3.6"
    }
  }
}

provider "google" {
  project = var.project
  region  = var.region
}

provider "google-beta" {
  project = var.project
  region  = var.region
}

resource "google_project_service" "needed" {
  for_each = toset([
    "memorystore.googleapis.com",
    "networkconnectivity.googleapis.com",
    "pubsub.googleapis.com",
    "run.googleapis.com",
    "secretmanager.googleapis.com",
    "servicenetworking.googleapis.com",
    "sqladmin.googleapis.com",
  ])
  service            = each.value
  disable_on_destroy = false
}

# One identity for each service, and one for the migration; what they may do stands beside what they do it to.
resource "google_service_account" "service" {
  for_each     = toset(["command", "projection", "query", "migrate"])
  account_id   = "progress-${each.value}"
  display_name = "Progress Context: ${each.value}"
}

resource "google_compute_network" "network" {
  name                    = "progress"
  auto_create_subnetworks = false
}

resource "google_compute_subnetwork" "services" {
  name                     = "progress-services"
  network                  = google_compute_network.network.id
  region                   = var.region
  ip_cidr_range            = "10.10.0.0/22"
  private_ip_google_access = true
}
