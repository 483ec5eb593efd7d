"""The history: what a browser has sent and said, without an account.

It shows the predictions whose sender is the visitor of the browser's cookie, deletes them, and takes them to another
browser.
"""
