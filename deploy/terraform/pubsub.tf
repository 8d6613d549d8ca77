# The topology that `progress-context pubsub diff` expects to find; afterwards it must have nothing to say.

locals {
  sources = toset(["learning-events", "algorithm-events", "vocabulary-events", "user-events"])
  day     = 86400
}

resource "google_pubsub_topic" "events" {
  name = "progress-events"
}

resource "google_pubsub_topic" "source" {
  for_each = local.sources
  name     = each.value
}

resource "google_pubsub_topic" "dead_letters" {
  for_each = local.sources
  name     = "${each.value}-dead-letters"
}

resource "google_pubsub_subscription" "projection" {
  name                       = "progress-projection"
  topic                      = google_pubsub_topic.events.id
  enable_message_ordering    = false
  ack_deadline_seconds       = 60
  message_retention_duration = "${local.day}s"
  expiration_policy {
    ttl = ""
  }
  retry_policy {
    minimum_backoff = "0.1s"
    maximum_backoff = "10s"
  }
}

resource "google_pubsub_subscription" "source" {
  for_each                   = local.sources
  name                       = "progress-command-${each.value}"
  topic                      = google_pubsub_topic.source[each.value].id
  enable_message_ordering    = true
  ack_deadline_seconds       = 60
  message_retention_duration = "${7 * local.day}s"
  expiration_policy {
    ttl = ""
  }
  retry_policy {
    minimum_backoff = "1s"
    maximum_backoff = "600s"
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters[each.value].id
    max_delivery_attempts = 100
  }
}

resource "google_pubsub_subscription" "dead_letters" {
  for_each                   = local.sources
  name                       = "${each.value}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters[each.value].id
  enable_message_ordering    = false
  ack_deadline_seconds       = 60
  message_retention_duration = "${31 * local.day}s"
  expiration_policy {
    ttl = ""
  }
}

# Each service may touch what it uses, and nothing else.
resource "google_pubsub_topic_iam_member" "command_publishes_the_log" {
  topic  = google_pubsub_topic.events.id
  role   = "roles/pubsub.publisher"
  member = google_service_account.service["command"].member
}

resource "google_pubsub_subscription_iam_member" "command_pulls_sources" {
  for_each     = local.sources
  subscription = google_pubsub_subscription.source[each.value].id
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.service["command"].member
}

resource "google_pubsub_subscription_iam_member" "projection_pulls_news" {
  subscription = google_pubsub_subscription.projection.id
  role         = "roles/pubsub.subscriber"
  member       = google_service_account.service["projection"].member
}

resource "google_pubsub_topic_iam_member" "contexts_publish" {
  for_each = { for pair in setproduct(local.sources, var.publishers) : join(" ", pair) => pair }
  topic    = google_pubsub_topic.source[each.value[0]].id
  role     = "roles/pubsub.publisher"
  member   = each.value[1]
}

# Pub/Sub itself moves what could not be delivered.
resource "google_project_service_identity" "pubsub" {
  provider = google-beta
  service  = "pubsub.googleapis.com"
}

resource "google_pubsub_topic_iam_member" "dead_letters_are_published" {
  for_each = local.sources
  topic    = google_pubsub_topic.dead_letters[each.value].id
  role     = "roles/pubsub.publisher"
  member   = google_project_service_identity.pubsub.member
}

resource "google_pubsub_subscription_iam_member" "dead_letters_are_taken" {
  for_each     = local.sources
  subscription = google_pubsub_subscription.source[each.value].id
  role         = "roles/pubsub.subscriber"
  member       = google_project_service_identity.pubsub.member
}
