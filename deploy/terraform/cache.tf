# Valkey for the response cache. The query service works without it, so there is no replica and no backup.

resource "google_network_connectivity_service_connection_policy" "cache" {
  name          = "progress-cache"
  location      = var.region
  service_class = "gcp-memorystore"
  network       = google_compute_network.network.id
  psc_config {
    subnetworks = [google_compute_subnetwork.services.id]
  }
  depends_on = [google_project_service.needed]
}

resource "google_memorystore_instance" "cache" {
  instance_id                 = "progress-cache"
  location                    = var.region
  engine_version              = "VALKEY_8_0"
  mode                        = "CLUSTER_DISABLED"
  shard_count                 = 1
  replica_count               = 0
  node_type                   = var.cache_node_type
  authorization_mode          = "AUTH_DISABLED"
  transit_encryption_mode     = "TRANSIT_ENCRYPTION_DISABLED"
  deletion_protection_enabled = false
  engine_configs = {
    maxmemory-policy = "allkeys-lru"
  }
  desired_auto_created_endpoints {
    network    = google_compute_network.network.id
    project_id = var.project
  }
  depends_on = [google_network_connectivity_service_connection_policy.cache]
}

locals {
  cache_address = google_memorystore_instance.cache.endpoints[0].connections[0].psc_auto_connection[0].ip_address
}
