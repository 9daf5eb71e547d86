"""What is counted for those on call: Prometheus names, labels from closed sets, never a person, an address
or a path.
"""

from prometheus_client import Counter, Gauge, Histogram

LOGINS = Counter("sso_gate_logins_total", "Logins that ended.", ["outcome", "protocol"])
DENIALS = Counter("sso_gate_login_denials_total", "Refused logins by reason.", ["reason"])
CHECK_SECONDS = Histogram("sso_gate_check_duration_seconds", "Answers to a reverse proxy.", ["outcome"])
ORDERS = Counter("sso_gate_seat_orders_total", "Seat orders that ended.", ["outcome"])
SEAT_DRIFT = Gauge("sso_gate_seat_drift", "Organizations whose books of seats disagreed when last reconciled.")
BOOKS_CHECKED = Gauge(
    "sso_gate_seat_books_checked_timestamp_seconds", "When this process last looked whether the books of seats agree."
)
