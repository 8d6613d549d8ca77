SELECT make_interval(secs => :idle_seconds) AS idle_gap, :cap_seconds AS cap_seconds, :streak_grace AS streak_grace
