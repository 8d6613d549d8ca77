# PostgreSQL 17 with a private address, a standby in another zone, and backups to any second of the last week.

resource "google_compute_global_address" "database" {
  name          = "progress-database"
  purpose       = "VPC_PEERING"
  address_type  = "INTERNAL"
  prefix_length = 20
  network       = google_compute_network.network.id
}

resource "google_service_networking_connection" "database" {
  network                 = google_compute_network.network.id
  service                 = "servicenetworking.googleapis.com"
  reserved_peering_ranges = [google_compute_global_address.database.name]
  depends_on              = [google_project_service.needed]
}

resource "google_sql_database_instance" "log" {
  name                = "progress-log"
  region              = var.region
  database_version    = "POSTGRES_17"
  deletion_protection = true
  depends_on          = [google_service_networking_connection.database]

  settings {
    edition                     = "ENTERPRISE"
    tier                        = var.database_tier
    availability_type           = "REGIONAL"
    disk_type                   = "PD_SSD"
    disk_size                   = var.database_disk_gb
    disk_autoresize             = true
    deletion_protection_enabled = true

    ip_configuration {
      ipv4_enabled    = false
      private_network = google_compute_network.network.id
      ssl_mode        = "ENCRYPTED_ONLY"
    }

    backup_configuration {
      enabled                        = true
      start_time                     = "02:00"
      point_in_time_recovery_enabled = true
      transaction_log_retention_days = 7
      backup_retention_settings {
        retained_backups = 30
      }
    }

    database_flags {
      name  = "max_connections"
      value = "300"
    }
    database_flags {
      name  = "max_wal_size"
      value = "4096"
    }
  }
}

resource "google_sql_database" "progress" {
  name     = "progress"
  instance = google_sql_database_instance.log.name
}

# The owner migrates. The services log in as users of their own, made by deploy/service_users.sql.
resource "random_password" "database" {
  for_each = google_service_account.service
  length   = 32
  special  = false
}

resource "google_sql_user" "owner" {
  name     = "progress"
  instance = google_sql_database_instance.log.name
  password = random_password.database["migrate"].result
}

locals {
  database_users = {
    command    = "progress_command_login"
    projection = "progress_projection_login"
    query      = "progress_query_login"
    migrate    = google_sql_user.owner.name
  }
}

resource "google_secret_manager_secret" "database_url" {
  for_each  = local.database_users
  secret_id = "progress-${each.key}-database-url"
  replication {
    auto {}
  }
}

resource "google_secret_manager_secret_version" "database_url" {
  for_each = local.database_users
  secret   = google_secret_manager_secret.database_url[each.key].id
  secret_data = format(
    "postgresql://%s:%s@%s:5432/%s?sslmode=require",
    each.value,
    random_password.database[each.key].result,
    google_sql_database_instance.log.private_ip_address,
    google_sql_database.progress.name,
  )
}

resource "google_secret_manager_secret_iam_member" "reads_own_database_url" {
  for_each  = local.database_users
  secret_id = google_secret_manager_secret.database_url[each.key].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.service[each.key].member
}
