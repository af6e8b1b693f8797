"""WeCom's 微信客服 (kf) protocol. Pure files first, then the two that touch the outside.

    errcodes      errcode -> exception class, meaning and remedy in Chinese and English       pure
    protocol      paths, request bodies, parsers of every answer used                         pure
    crypto        callback envelope: signature, AES; the only home of wechatpy                pure
    events        decrypted callback XML -> KfNotification, AccountsChanged or Foreign        pure
    access_token  one token, one refresh in flight for all who wait
    client        KfClient: bot.ports.KfApi over bot.http, with retries and limits

A callback is only a hint that there is news; the news itself comes from `KfClient.sync`.
Vendor's pages: https://developer.work.weixin.qq.com/document/path/94670 and its neighbours.
"""
