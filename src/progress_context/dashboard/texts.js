// Every word the page says, in each of its languages.

const plural = (one, other) => (count) => `${plainNumber(count)} ${count === 1 ? one : other}`;
const counted = (word) => (count) => `${word}${plainNumber(count)}`;

const en = {
  product: "Progress",
  skipToContent: "Skip to content",
  otherLanguage: "日本語",
  darkTheme: "Dark theme",
  pickLearner: "Find a learner",
  learners: "Learners",
  noSuggestions: "No learner like this",
  neverActive: "not active yet",
  retry: "Try again",
  upToDate: (position) => `Up to date · event ${position}`,
  live: "Up to date",

  streak: "Streak",
  today: "Today",
  allTime: "All time",
  calendar: "The year",
  dayByDay: "Day by day",
  items: "Items",
  daysInARow: (count) => (count === 1 ? "day in a row" : "days in a row"),
  streakSafe: "Today counts already.",
  streakWaiting: "Study today to keep it.",
  streakOver: "Study today to start a new one.",
  streakNone: "The first study day starts one.",
  longestStreak: (count) => `Longest: ${plural("day", "days")(count)}`,
  fromTo: (from, to) => (from === to ? from : `${from} – ${to}`),
  yesterday: (reviews, time) => `Yesterday: ${plural("review", "reviews")(reviews)}, ${time}`,

  day: "Day",
  reviews: "Reviews",
  correct: "Correct",
  incorrect: "Incorrect",
  accuracy: "Accuracy",
  studyTime: "Study time",
  sessions: "Sessions",
  activities: "Activities",
  newItems: "New items",
  itemsMastered: "Mastered",
  activeDays: "Active days",
  masteryShare: (mastered, seen) => `${mastered} of ${seen} items seen are mastered`,
  studyTimeRule: (cap, gap) => `Study time counts at most ${cap} a session; breaks over ${gap} are left out.`,

  colourBy: "Shade days by",
  daysShown: "Days shown",
  span7: "7 days",
  span30: "30 days",
  span90: "90 days",
  calendarHelp: "Study calendar. Arrow keys move from day to day and week to week.",
  calendarSummary: (active, all) => `${active} active days of the last ${all}`,
  daysHelp: "Daily reviews and study time. Left and right arrow keys move from day to day.",
  daysSummary: (reviews, days) => `${reviews} reviews in the last ${days} days`,
  activeDaysTable: "Active days as a table",
  daysTable: "Days as a table",
  less: "Less",
  more: "More",
  reviewCount: plural("review", "reviews"),
  sessionCount: plural("session", "sessions"),
  activityCount: plural("other activity", "other activities"),
  activeDayCount: plural("active day", "active days"),
  newCount: plural("new item", "new items"),
  masteredCount: plural("item mastered", "items mastered"),
  judged: (correct, incorrect, share) => `${plainNumber(correct)} correct, ${plainNumber(incorrect)} incorrect (${share})`,
  studied: (time) => `${time} studied`,
  notActive: "No activity",

  item: "Item",
  mastery: "Mastery",
  nextReview: "Next review",
  lastReview: "Last review",
  responseTime: "Avg. response",
  filterItems: "Items shown",
  filterALL: "All",
  filterSTRUGGLING: "Struggling",
  filterMASTERED: "Mastered",
  filterIN_PROGRESS: "In progress",
  filterOVERDUE: "Overdue",
  chip_mastered: "mastered",
  chip_struggling: "struggling",
  chip_overdue: "overdue",
  itemsShown: (first, last, all) => `${first}–${last} of ${all}`,
  noItems: "No items yet.",
  noItemsFiltered: "No items here.",
  previous: "Previous",
  next: "Next",

  welcomeTitle: "Whose progress?",
  welcomeBody: "Pick a learner, or type an id into the search box.",
  noLearnersTitle: "No learners yet",
  noLearnersBody: "Learners appear here as soon as their first event arrives.",
  idleTitle: (learner) => `${learner} has not studied yet`,
  idleBody: "The first review, session or activity will appear here by itself.",
  unknownTitle: (learner) => `No learner “${learner}”`,
  unknownBody: "No event of this learner has arrived. Check the id, or pick another learner.",
  downTitle: "The service does not answer",
  downBody: "It may be starting or unreachable. This page keeps trying.",
  refusedTitle: "The service refused to answer",
  staleDown: "The service does not answer. The figures below may be out of date.",
  staleRefused: (reason) => `The figures below could not be refreshed: ${reason}`,
};

const ja = {
  product: "学習の記録",
  skipToContent: "本文へ移動",
  otherLanguage: "English",
  darkTheme: "ダークテーマ",
  pickLearner: "学習者を探す",
  learners: "学習者",
  noSuggestions: "該当する学習者はいません",
  neverActive: "まだ学習していません",
  retry: "再試行",
  upToDate: (position) => `最新 · イベント ${position}`,
  live: "最新",

  streak: "連続学習",
  today: "今日",
  allTime: "累計",
  calendar: "この一年",
  dayByDay: "日ごとの記録",
  items: "項目",
  daysInARow: () => "日連続",
  streakSafe: "今日の分は記録されました。",
  streakWaiting: "今日学習すると継続します。",
  streakOver: "今日学習すると新しく始まります。",
  streakNone: "最初の学習日から始まります。",
  longestStreak: (count) => `最長：${plainNumber(count)}日`,
  fromTo: (from, to) => (from === to ? from : `${from}～${to}`),
  yesterday: (reviews, time) => `昨日：復習 ${plainNumber(reviews)}、${time}`,

  day: "日付",
  reviews: "復習",
  correct: "正解",
  incorrect: "不正解",
  accuracy: "正答率",
  studyTime: "学習時間",
  sessions: "セッション",
  activities: "その他の活動",
  newItems: "新しい項目",
  itemsMastered: "習得",
  activeDays: "学習日数",
  masteryShare: (mastered, seen) => `学習した${seen}項目のうち${mastered}項目を習得`,
  studyTimeRule: (cap, gap) => `学習時間は1セッション最大${cap}、${gap}を超える中断は含みません。`,

  colourBy: "色分け",
  daysShown: "表示する日数",
  span7: "7日",
  span30: "30日",
  span90: "90日",
  calendarHelp: "学習カレンダー。矢印キーで日と週を移動します。",
  calendarSummary: (active, all) => `過去${all}日のうち${active}日学習`,
  daysHelp: "日ごとの復習と学習時間。左右の矢印キーで日を移動します。",
  daysSummary: (reviews, days) => `過去${days}日で復習${reviews}回`,
  activeDaysTable: "学習した日を表で見る",
  daysTable: "日ごとの表を見る",
  less: "少",
  more: "多",
  reviewCount: counted("復習 "),
  sessionCount: counted("セッション "),
  activityCount: counted("その他の活動 "),
  activeDayCount: (count) => `学習${plainNumber(count)}日`,
  newCount: counted("新しい項目 "),
  masteredCount: counted("習得 "),
  judged: (correct, incorrect, share) => `正解 ${plainNumber(correct)}、不正解 ${plainNumber(incorrect)}（${share}）`,
  studied: (time) => `学習時間 ${time}`,
  notActive: "活動なし",

  item: "項目",
  mastery: "習得度",
  nextReview: "次の復習",
  lastReview: "前回の復習",
  responseTime: "平均回答時間",
  filterItems: "表示する項目",
  filterALL: "すべて",
  filterSTRUGGLING: "苦手",
  filterMASTERED: "習得済み",
  filterIN_PROGRESS: "学習中",
  filterOVERDUE: "期限切れ",
  chip_mastered: "習得済み",
  chip_struggling: "苦手",
  chip_overdue: "期限切れ",
  itemsShown: (first, last, all) => `全${all}件中 ${first}～${last}`,
  noItems: "項目はまだありません。",
  noItemsFiltered: "該当する項目はありません。",
  previous: "前へ",
  next: "次へ",

  welcomeTitle: "誰の記録を見ますか",
  welcomeBody: "学習者を選ぶか、検索欄にIDを入力してください。",
  noLearnersTitle: "学習者はまだいません",
  noLearnersBody: "最初のイベントが届くと、ここに表示されます。",
  idleTitle: (learner) => `${learner} はまだ学習していません`,
  idleBody: "最初の復習、セッション、活動が自動的に表示されます。",
  unknownTitle: (learner) => `学習者「${learner}」は見つかりません`,
  unknownBody: "この学習者のイベントは届いていません。IDを確認するか、他の学習者を選んでください。",
  downTitle: "サービスが応答しません",
  downBody: "起動中か、接続できない状態です。自動的に再試行します。",
  refusedTitle: "サービスが応答を拒否しました",
  staleDown: "サービスが応答しません。以下の数値は古い可能性があります。",
  staleRefused: (reason) => `以下の数値を更新できませんでした：${reason}`,
};

export const languages = { en, ja };

/** The first language we speak among `wanted`, English when there is none. */
export function chooseLanguage(wanted) {
  const codes = wanted.map((tag) => tag.toLowerCase().split("-")[0]);
  return codes.find((code) => code in languages) ?? "en";
}

const asked = new URLSearchParams(location.search).get("lang");
export const language = chooseLanguage([asked ?? "", ...navigator.languages]);

/** The locale of numbers and dates: the viewer's own variant of the page's language. */
export const locale = navigator.languages.find((tag) => chooseLanguage([tag]) === language
  && tag.toLowerCase().startsWith(language)) ?? language;

const numbers = new Intl.NumberFormat(locale);
const plainNumber = (value) => numbers.format(value);

/** A text by name; texts with gaps take their values. Throws on a name nobody wrote. */
export function text(name, ...values) {
  const found = languages[language][name];
  if (found === undefined) throw new Error(`no text is named ${name}`);
  return typeof found === "function" ? found(...values) : found;
}

/** Fill every element of the page that names its text. */
export function fillTexts(root = document) {
  root.documentElement.lang = language;
  for (const node of root.querySelectorAll("[data-text]")) node.textContent = text(node.dataset.text);
}
