// The documents the page sends.

export const LEARNERS = `query Learners($search: String, $first: Int!) {
  learners(search: $search, first: $first) { userId lastActiveDay totalActiveDays }
}`;

export const TODAY = `query Today($userId: ID!) {
  userSummary(userId: $userId) { today }
}`;

export const PAGE = `query Page(
  $userId: ID!, $year: DateRange!, $days: DateRange!, $filter: ItemFilter!, $first: Int!, $after: String
) {
  userSummary(userId: $userId) {
    today firstActiveDay totalActiveDays sessions reviews accuracy studySeconds
    itemsSeen itemsMastered itemsInProgress
  }
  learningStreak(userId: $userId, calendar: $year) {
    current longest lastActiveDay activeToday alive today
    calendar { date active reviews sessions activities studySeconds }
    runs { from to days }
  }
  dailyStats(userId: $userId, dateRange: $days) {
    date active sessions reviews correct incorrect accuracy newItems itemsMastered activities
    studyTime { seconds sessionCapSeconds idleGapSeconds }
  }
  itemProgress(userId: $userId, filter: $filter, first: $first, after: $after) {
    totalCount
    nodes {
      itemId spelling level lastReviewedAt reviews accuracy averageResponseTimeMs
      masteryLevel mastered nextReviewAt overdue struggling
    }
    pageInfo { hasNextPage endCursor }
  }
}`;
