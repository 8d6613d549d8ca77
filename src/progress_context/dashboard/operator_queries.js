// The documents the operator's page sends.

export const SYSTEM = `query System {
  system {
    at healthy problems { code message }
    head recordedAt appendRate workers
    readModels { name update version position movedAt lagEvents lagSeconds }
    shards { shard position lagEvents }
    leases { name holder held }
    builds { build kind readModels alive catchingUp startedAt done total }
    snapshots { count damaged position takenAt }
    relays { topic position lagEvents held unpublished }
    newsLagEvents
    parkedCount parked { position userId type reason attempts parkedAt }
    deadLetterCount deadLetters { letter subscription code path attempts size lastSeenAt }
  }
}`;

export const EVENTS = `query Events($userId: ID, $type: String, $before: Position, $recordedBy: DateTime, $first: Int!) {
  events(userId: $userId, type: $type, before: $before, recordedBy: $recordedBy, first: $first) {
    position source id type version userId occurredAt learningDay recordedAt data context traceId voided
  }
}`;
