"""What a counter can fail of, and the exit code of each."""


class ClientError(Exception):
    """A counter could not do what it was asked; `exit_code` is the command line's.

        ClientError
        ├── BadAudioFile     not a file that a counter can send               3
        ├── FinishTimedOut   the server did not close in time after `fim`     4
        ├── ConnectionLost   no connection, and no more attempts              1
        └── Refused          the server says no: 4001 → 11 … 4005 → 15

    No text carries a key or anything that somebody said.
    """

    exit_code: int = 1


class BadAudioFile(ClientError):
    """Not 16 kHz mono s16le in a WAV, and not Opus in a WebM."""

    exit_code = 3


class FinishTimedOut(ClientError):
    """After `fim` the server neither finished nor closed within `finish_timeout_s`."""

    exit_code = 4


class ConnectionLost(ClientError):
    """The connection is gone for good: attempts are used up, or this generation cannot resume."""


class Refused(ClientError):
    """The server refused the counter; its text is the server's Portuguese sentence for the attendant."""

    def __init__(self, close_code: int, codigo: str, mensagem: str, retry_in_s: float = 0.0) -> None:
        super().__init__(close_code, codigo, mensagem, retry_in_s)
        self.close_code = close_code
        self.codigo = codigo
        self.mensagem = mensagem
        self.retry_in_s = retry_in_s
        self.exit_code = close_code - 3990 if close_code < 4100 else 10

    def __str__(self) -> str:
        return f"{self.mensagem} ({self.codigo}, {self.close_code})"
