output "command_url" {
  description = "Where events go"
  value       = google_cloud_run_v2_service.service["command"].uri
}

output "query_url" {
  description = "Where questions go"
  value       = google_cloud_run_v2_service.service["query"].uri
}

output "migrate" {
  description = "How a release migrates the database, before its services change"
  value       = "gcloud run jobs execute ${google_cloud_run_v2_job.migrate.name} --region ${var.region} --wait"
}

output "service_passwords" {
  description = "For deploy/service_users.sql"
  sensitive   = true
  value       = { for name in ["command", "projection", "query"] : name => random_password.database[name].result }
}
