SELECT learner_key, learner_id FROM log.learners
