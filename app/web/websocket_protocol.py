"""Websocket connections that the application closes when the process stops."""

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's protocol, which at a shutdown would close a connection in the middle of a mutation."""

    def shutdown(self) -> None:
        """Leave an open connection to the application, which closes it once its operations have ended."""
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
