"""Floor 4: the student in the same graph -> scores -> leaderboard and report. Never imports finetune."""
