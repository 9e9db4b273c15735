"""A key that never leaves AWS KMS."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from dachi_fast.errors import KeyAccessError, KeyringError, KeyServiceError

# Nobody may use the key, or it cannot be used now; what it says besides is KMS's business.
_REFUSALS = frozenset(
    {"AccessDeniedException", "DisabledException", "KMSInvalidStateException", "NotFoundException"}
)
_WRONG = frozenset({"IncorrectKeyException", "InvalidCiphertextException"})


class AwsKms:
    """A key in AWS KMS (extra ``[kms]``), which seals and opens the store's root key for us.

    KMS is asked when a store is made, opened, rewrapped or told to forget, never by a save. What
    the key is for goes along as encryption context, so that policies and CloudTrail can name the
    store. One key serves many stores and is not replaced by one of them: after `Store.forget`, who
    has an old copy of the store with its ``keys.sealed``, and may use the key, can read what was
    forgotten.

    Args:
        key_id: id, ARN or alias of a symmetric key.
        region: for instance ``"eu-central-1"``. Default: as boto3 finds it.
        endpoint_url: where KMS listens. Default: AWS.
        client: a KMS client of boto3's to use instead, for your own session or credentials.

    Example:
        >>> from dachi_fast import AwsKms
        >>> AwsKms("alias/agents")
        AwsKms('alias/agents')
    """

    def __init__(
        self,
        key_id: str,
        *,
        region: str | None = None,
        endpoint_url: str | None = None,
        client: Any = None,
    ) -> None:
        self.key_id = key_id
        self._region = region
        self._endpoint_url = endpoint_url
        self._client = client

    def __repr__(self) -> str:
        return f"AwsKms({self.key_id!r})"

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Has KMS seal a key.

        Args:
            key: 32 bytes.
            context: what the key is for; the encryption context's ``dachi_fast``.

        Returns:
            The sealed key.

        Raises:
            KeyServiceError: KMS cannot be reached.
            KeyAccessError: the key does not exist, is disabled, or may not be used.
            KeyringError: boto3 is not installed.
        """
        blob: bytes = self._asked("encrypt", context, Plaintext=key)["CiphertextBlob"]
        return blob

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Has KMS open what `wrap` gave.

        Args:
            wrapped: the sealed key.
            context: as given to `wrap`.

        Returns:
            The 32 bytes.

        Raises:
            KeyServiceError: KMS cannot be reached.
            KeyAccessError: the key does not exist, is disabled, or may not be used.
            KeyringError: another key sealed it, for another store, or it was altered; or boto3 is
                not installed.
        """
        plain: bytes = self._asked("decrypt", context, CiphertextBlob=wrapped)["Plaintext"]
        return plain

    def _asked(self, operation: str, context: bytes, **arguments: Any) -> Any:
        try:
            from botocore.exceptions import BotoCoreError, ClientError
        except ImportError as cause:
            raise KeyringError(
                "keyring", "boto3 is not installed; run: pip install 'dachi_fast[kms]'"
            ) from cause
        try:
            return getattr(self._connected(), operation)(
                KeyId=self.key_id,
                EncryptionContext={"dachi_fast": quote(context, safe=" ")},
                **arguments,
            )
        except ClientError as cause:
            raise self._refused(cause) from cause
        except BotoCoreError as cause:
            raise KeyServiceError(
                "key-service", f"KMS cannot be asked for {self.key_id}: {cause}", key_id=self.key_id
            ) from cause

    def _connected(self) -> Any:
        if self._client is None:
            import boto3
            from botocore.config import Config

            # Writers of the store wait while it is rewrapped: better an early error than minutes.
            patience = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 3})
            self._client = boto3.client(
                "kms", region_name=self._region, endpoint_url=self._endpoint_url, config=patience
            )
        return self._client

    def _refused(self, cause: Any) -> KeyringError:
        code = str(cause.response.get("Error", {}).get("Code", ""))
        if code in _WRONG:
            what = (
                f"{self.key_id} did not seal the store's root key, or it was altered; open the "
                f"store with the key it was made with"
            )
            return KeyringError("wrong-key", what, key_id=self.key_id, reason=code)
        if code in _REFUSALS:
            what = f"KMS does not let {self.key_id} be used: {cause}"
            return KeyAccessError("key-access", what, key_id=self.key_id, reason=code)
        what = f"KMS failed on {self.key_id}: {cause}"
        return KeyServiceError("key-service", what, key_id=self.key_id, reason=code)
