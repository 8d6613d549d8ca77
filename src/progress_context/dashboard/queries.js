// The documents the learner's page sends.

export const LEARNERS = `query Learners($search: String, $first: Int!) {
  learners(search: $search, first: $first) { userId lastActiveDay totalActiveDays }
}`;

export const TODAY = `query Today($userId: ID!, $asOf: AsOf) {
  userSummary(userId: $userId, asOf: $asOf) { today }
}`;

export const PAGE = `query Page($userId: ID!, $asOf: AsOf, $year: DateRange!, $days: DateRange!) {
  userSummary(userId: $userId, asOf: $asOf) {
    today firstActiveDay totalActiveDays sessions reviews accuracy studySeconds
    itemsSeen itemsMastered itemsInProgress
    nextMilestone { type threshold level target progress }
  }
  learningStreak(userId: $userId, calendar: $year, asOf: $asOf) {
    current longest lastActiveDay activeToday alive today
    calendar { date active reviews sessions activities studySeconds }
    runs { from to days }
  }
  dailyStats(userId: $userId, dateRange: $days, asOf: $asOf) {
    date active sessions reviews correct incorrect accuracy newItems itemsMastered activities
    studyTime { seconds sessionCapSeconds idleGapSeconds }
  }
}`;

export const PROGRESS = `query Progress($userId: ID!, $asOf: AsOf, $period: Period!) {
  weeklyTrend(userId: $userId, weeks: 16, asOf: $asOf) {
    trend consistency
    weeks { week daysElapsed activeDays reviews reviewsPerDay accuracy studySeconds consistency trend itemsMastered }
    recommendations { code text { en ja } }
  }
  skills: categoryProgress(userId: $userId, categoryType: DOMAIN, asOf: $asOf) { ...Categories }
  levels: categoryProgress(userId: $userId, categoryType: LEVEL, asOf: $asOf) { ...Categories }
  milestones(userId: $userId, asOf: $asOf) { type threshold level target progress status achievedOn }
  performanceMetrics(userId: $userId, period: $period, asOf: $asOf) {
    score accuracy previousAccuracy accuracyTrend retention retentionYoung retentionMature
    reviewsDue reviewsOnTime onTime learningVelocity consistency activeDays days
    insights { code text { en ja } }
  }
}
fragment Categories on CategoryProgress {
  overallCompletion
  categories {
    name totalItems mastered inProgress notStarted progress accuracy timeSpentSeconds estimatedCompletion
  }
}`;

export const ITEMS = `query Items(
  $userId: ID!, $asOf: AsOf, $filter: ItemFilter!, $search: String, $first: Int!, $after: String
) {
  itemProgress(userId: $userId, filter: $filter, search: $search, first: $first, after: $after, asOf: $asOf) {
    totalCount
    nodes {
      itemId spelling level lastReviewedAt reviews accuracy averageResponseTimeMs
      masteryLevel mastered nextReviewAt overdue struggling
    }
    pageInfo { hasNextPage endCursor }
  }
}`;

export const WHY = `query Why($userId: ID!, $asOf: AsOf, $days: DateRange!) {
  learningStreak(userId: $userId, calendar: $days, asOf: $asOf) {
    current explanation { date status dayOfStreak text { en ja } }
  }
}`;

export const CHANGES = `subscription Changes($userId: ID!, $after: Position) {
  progressUpdated(userId: $userId, after: $after) { position }
}`;
