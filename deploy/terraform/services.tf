# The services and the migration job, with the figures of deploy/cloudrun/*.yaml: they stand there and nowhere else.

locals {
  filled_in = {
    project       = var.project
    region        = var.region
    image         = var.image
    network       = google_compute_network.network.name
    subnetwork    = google_compute_subnetwork.services.name
    redis_url     = "redis://${local.cache_address}:6379"
    auth_jwks_url = var.auth_jwks_url
    auth_issuer   = var.auth_issuer
    auth_audience = var.auth_audience
  }
  services = {
    for name in ["command", "projection", "query"] :
    name => yamldecode(templatefile("${path.module}/../cloudrun/${name}.yaml", local.filled_in))
  }
  job = yamldecode(templatefile("${path.module}/../cloudrun/migrate.yaml", local.filled_in))
  ingress = {
    "internal"                          = "INGRESS_TRAFFIC_INTERNAL_ONLY"
    "internal-and-cloud-load-balancing" = "INGRESS_TRAFFIC_INTERNAL_LOAD_BALANCER"
  }
}

resource "google_cloud_run_v2_service" "service" {
  for_each = local.services
  name     = each.value.metadata.name
  location = var.region
  ingress  = local.ingress[each.value.metadata.annotations["run.googleapis.com/ingress"]]

  template {
    service_account                  = google_service_account.service[each.key].email
    execution_environment            = "EXECUTION_ENVIRONMENT_GEN2"
    max_instance_request_concurrency = each.value.spec.template.spec.containerConcurrency
    timeout                          = "${each.value.spec.template.spec.timeoutSeconds}s"

    scaling {
      min_instance_count = tonumber(each.value.spec.template.metadata.annotations["autoscaling.knative.dev/minScale"])
      max_instance_count = tonumber(each.value.spec.template.metadata.annotations["autoscaling.knative.dev/maxScale"])
    }

    vpc_access {
      egress = "PRIVATE_RANGES_ONLY"
      network_interfaces {
        network    = google_compute_network.network.id
        subnetwork = google_compute_subnetwork.services.id
      }
    }

    containers {
      image = each.value.spec.template.spec.containers[0].image
      args  = each.value.spec.template.spec.containers[0].args

      ports {
        container_port = each.value.spec.template.spec.containers[0].ports[0].containerPort
      }

      resources {
        limits            = each.value.spec.template.spec.containers[0].resources.limits
        cpu_idle          = false
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = each.value.spec.template.spec.containers[0].env
        content {
          name  = env.value.name
          value = try(env.value.value, null)
          dynamic "value_source" {
            for_each = try([env.value.valueFrom.secretKeyRef], [])
            content {
              secret_key_ref {
                secret  = value_source.value.name
                version = value_source.value.key
              }
            }
          }
        }
      }

      startup_probe {
        period_seconds    = each.value.spec.template.spec.containers[0].startupProbe.periodSeconds
        failure_threshold = each.value.spec.template.spec.containers[0].startupProbe.failureThreshold
        http_get {
          path = each.value.spec.template.spec.containers[0].startupProbe.httpGet.path
          port = each.value.spec.template.spec.containers[0].startupProbe.httpGet.port
        }
      }

      liveness_probe {
        period_seconds    = each.value.spec.template.spec.containers[0].livenessProbe.periodSeconds
        timeout_seconds   = each.value.spec.template.spec.containers[0].livenessProbe.timeoutSeconds
        failure_threshold = each.value.spec.template.spec.containers[0].livenessProbe.failureThreshold
        http_get {
          path = each.value.spec.template.spec.containers[0].livenessProbe.httpGet.path
          port = each.value.spec.template.spec.containers[0].livenessProbe.httpGet.port
        }
      }
    }
  }

  depends_on = [
    google_secret_manager_secret_version.database_url,
    google_secret_manager_secret_iam_member.reads_own_database_url,
  ]
}

resource "google_cloud_run_v2_job" "migrate" {
  name     = local.job.metadata.name
  location = var.region

  template {
    template {
      service_account       = google_service_account.service["migrate"].email
      execution_environment = "EXECUTION_ENVIRONMENT_GEN2"
      max_retries           = local.job.spec.template.spec.template.spec.maxRetries
      timeout               = "${local.job.spec.template.spec.template.spec.timeoutSeconds}s"

      vpc_access {
        egress = "PRIVATE_RANGES_ONLY"
        network_interfaces {
          network    = google_compute_network.network.id
          subnetwork = google_compute_subnetwork.services.id
        }
      }

      containers {
        image = local.job.spec.template.spec.template.spec.containers[0].image
        args  = local.job.spec.template.spec.template.spec.containers[0].args
        resources {
          limits = local.job.spec.template.spec.template.spec.containers[0].resources.limits
        }
        env {
          name = "DATABASE_URL"
          value_source {
            secret_key_ref {
              secret  = google_secret_manager_secret.database_url["migrate"].secret_id
              version = "latest"
            }
          }
        }
      }
    }
  }

  depends_on = [google_secret_manager_secret_iam_member.reads_own_database_url]
}

resource "google_cloud_run_v2_service_iam_member" "posts_events" {
  for_each = var.command_invokers
  name     = google_cloud_run_v2_service.service["command"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value
}

resource "google_cloud_run_v2_service_iam_member" "asks" {
  for_each = var.query_invokers
  name     = google_cloud_run_v2_service.service["query"].name
  location = var.region
  role     = "roles/run.invoker"
  member   = each.value
}
