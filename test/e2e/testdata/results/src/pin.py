PIN = 1
